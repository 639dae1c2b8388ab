#!/usr/bin/env bash
# scripts/random_networks.py: every kind of layer and batch occurs, equal seeds give equal lines, and the program trains
# half of what it prints.
# usage: random_networks_test.sh RANDOM_NETWORKS_PY BNTRAIN
set -euo pipefail
generator=$1
export bntrain=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 "$generator" --seed 3 --count 80 >"$work/lines"
python3 "$generator" --seed 3 --count 80 | cmp - "$work/lines"
python3 "$generator" --seed 4 --count 80 >"$work/others"
! cmp -s "$work/others" "$work/lines" || { echo 'the seed changes nothing'; exit 1; }
[[ $(wc -l <"$work/lines") == 80 ]] || { echo 'not 80 lines'; exit 1; }
for part in 'conv[0-9]+x5' 's2p' nobias ,bn relu sigmoid gelu silu leakyrelu0.2 maxpool2 maxpool3 avgpool2 'fc300' 'res\(' '\|conv' \
  'batch-size 1 ' 'batch-size 300 ' 'shape=1x' 'shape=[0-9]x47x47' adamw momentum bn-convention; do
  grep -qE -- "$part" "$work/lines" || { echo "no line has $part"; exit 1; }
done
train() { "$bntrain" --device cpu --quiet "$@" >/dev/null 2>&1 || { echo "refused: $*"; exit 1; }; }
export -f train
xargs -L 1 -P 2 bash -c 'train "$@"' bash < <(head -40 "$work/lines")
