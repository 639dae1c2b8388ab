#!/usr/bin/env bash
# Trains again and again in one process's lifetime each, for SECONDS, and once in one process for many epochs: the model
# has the same bits every time, and neither the resident memory nor the open descriptors of the long run grow.
# usage: scripts/soak.sh [SECONDS]      3600 by default
set -euo pipefail
[[ ${1-} != @(-h|--help) ]] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0; }
seconds=${1:-3600}
program=$(realpath "${BNTRAIN:-${BASH_SOURCE[0]%/*}/../build/release/bntrain}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
flags=(--quiet --device cpu --data "synthetic:shape=1x12x12,train=2000,test=500" --network "conv8x3,bn,relu,maxpool2,fc32,bn,relu,fc10"
  --batch-size 64 --init torch --lr 0.05 --valid 0.1 --log-every 1)

# Half of the time: one run that goes on, looked at every second after its first ten.
"$program" "${flags[@]}" --epochs 1000000 --out long >/dev/null & pid=$!
trap 'kill -KILL $pid 2>/dev/null || true; rm -rf "$work"' EXIT
measure() { printf '%s %s\n' "$(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status")" "$(ls "/proc/$pid/fd" | wc -l)"; }
sleep 10
read -r first_memory first_files < <(measure)
most_memory=0 most_files=0 end=$((SECONDS + seconds / 2))
while ((SECONDS < end)); do
  sleep 1
  read -r memory files < <(measure)
  most_memory=$((memory > most_memory ? memory : most_memory)) most_files=$((files > most_files ? files : most_files))
done
kill -INT $pid
wait $pid && status=0 || status=$?
epochs=$(grep -c '"type":"epoch"\|"epoch"' long/metrics.jsonl || true)
printf 'one run: %s records, ended with %s; resident memory %s kB after 10 s, %s kB at most; open files %s and %s\n' \
  "$epochs" "$status" "$first_memory" "$most_memory" "$first_files" "$most_files"
((status == 130 && most_memory * 20 <= first_memory * 21 && most_files <= first_files + 2))  # a checkpoint is written through 2

runs=0 end=$((SECONDS + seconds / 2))
while ((SECONDS < end)); do
  rm -rf run
  "$program" "${flags[@]}" --epochs 2 --out run --save model.safetensors >/dev/null
  if ((runs++ == 0)); then cp model.safetensors first.safetensors; fi
  cmp first.safetensors model.safetensors
done
printf '%s short runs: the same bits every time\n' "$runs"
