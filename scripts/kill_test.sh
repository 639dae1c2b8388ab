#!/usr/bin/env bash
# Kills a training run with SIGKILL at random moments, resumes it each time, and fails unless every finished run left
# the model and the records of one that was never killed.
# usage: scripts/kill_test.sh [KILLS] [FLAG of the run...]
set -euo pipefail
[[ ${1-} != @(-h|--help) ]] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0; }
kills=${1:-50}
shift || true
program=$(realpath "${BNTRAIN:-$(dirname "$0")/../build/release/bntrain}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
flags=(--quiet --device cpu --data "synthetic:shape=1x12x12,train=2000,test=500" --network "conv8x3,bn,relu,maxpool2,fc32,bn,relu,fc10"
  --batch-size 64 --epochs 3 --momentum 0.9 --weight-decay 1e-4 --init torch --lr 0.05 --valid 0.1 --save-every 1 --log-every 1 "$@")

# The records but for their times and for what names the folder.
records() {
  sed -E 's/"(seconds|images_per_second|eval_seconds|eval_images_per_second|train_seconds)":[^,}]*//g; s/"(out|save)":"[^"]*"//g' "$1/metrics.jsonl"
}

"$program" "${flags[@]}" --out whole --save whole.safetensors > /dev/null
killed=0
runs=0
while ((killed < kills)); do
  run=run$((++runs))
  status=1
  while ((status != 0)); do
    if [[ -e $run/last.safetensors ]]; then
      "$program" --quiet --resume "$run" > /dev/null & pid=$!
    else
      "$program" "${flags[@]}" --out "$run" --save "$run.safetensors" > /dev/null & pid=$!
    fi
    if ((killed < kills)); then
      sleep "0.$(printf %04d $((RANDOM % 4000)))"
      kill -KILL "$pid" 2> /dev/null || true
    fi
    status=0
    wait "$pid" 2> /dev/null || status=$?
    case $status in
      0) ;;
      137) killed=$((killed + 1)) ;;
      *) echo "after $killed kills a run ended with $status" >&2; exit 1 ;;
    esac
  done
  cmp whole.safetensors "$run.safetensors"
  cmp whole/best.safetensors "$run/best.safetensors"
  diff <(records whole) <(records "$run")
done
echo "$killed kills in $runs runs: every finished run has the bits of one that was never killed"
