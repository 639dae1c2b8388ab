#!/usr/bin/env bash
# scripts/tune_kernels.sh with a stand-in for the benchmark.
# usage: tune_kernels_test.sh TUNE_KERNELS_SH
set -euo pipefail
script=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export BNTRAIN_TUNINGS=$work/table
fail() { echo "$1"; cat "$work/table" "$work/said"; exit 1; }

cat >"$work/figures.py" <<'BODY'
import json
import sys
def row(contender, cache, us, layout="channels first", shape="256x20x24x24"):
    figures = {"seconds": {"median": us / 1e6}} if us else {"refusal": "WRONG RESULT"}
    return {"shape": shape, "layout": layout, "pass": "forward", "cache": cache, "contender": contender, **figures}
rows = []
for layout, fast in (("channels first", 9), ("channels last", 9.9)):  # 10% faster, and 1%
    for cache, rule in (("cold", 10), ("hot", 10)):
        rows += [row("tuning rule", cache, rule, layout), row("tuning 4x256x5x1", cache, fast, layout),
                 row("tuning 2x320x5x1", cache, 12, layout), row("tuning 1x96x1x1", cache, None, layout)]
# Faster only where the tensors are in the cache.
rows += [row("tuning rule", "cold", 10, shape="256x128"), row("tuning rule", "hot", 10, shape="256x128"),
         row("tuning 1x128x1x8", "cold", 11, shape="256x128"), row("tuning 1x128x1x8", "hot", 5, shape="256x128")]
json.dump({"device": "Invented GPU", "multiprocessors": 132, "compute_capability": 90, "rows": rows}, open(sys.argv[1], "w"))
BODY
mkdir "$work/build"
cat >"$work/build/bntrain_kernel_bench" <<BODY
#!$BASH
printf '%s\n' "\$*" >"$work/asked"
python3 "$work/figures.py" "\${@: -1}"
BODY
chmod +x "$work/build/bntrain_kernel_bench"

other='{80, 80, {256, 20, 576, Layout::channels_first}, NormPass::forward, {9, 256, 8, 1}},  // another card'
old='{132, 90, {256, 20, 576, Layout::channels_last}, NormPass::forward, {9, 256, 8, 1}},  // no longer faster'
printf '// head\n%s\n%s\n' "$other" "$old" >"$work/table"
"$script" --build "$work/build" 256x20x24x24 256x128 >"$work/said"
grep -q -- '--tuning all .*--shapes 256x20x24x24 256x128 --json' "$work/asked" || fail 'asks for something else'
grep -qF '{132, 90, {256, 20, 576, Layout::channels_first}, NormPass::forward, {5, 256, 4, 1}},  // us: 10.00 to 9.00 cold, 10.00 to 9.00 hot; Invented GPU, ' \
  "$work/table" || fail 'lacks the faster tuning'
grep -qxF "$other" "$work/table" || fail "has lost another card's"
[[ $(grep -c '^{' "$work/table") == 2 ]] || fail 'has others'
grep -q 'Layout::channels_last}, NormPass::forward: the rule' "$work/said" || fail 'does not say what stays'
cp "$work/table" "$work/before"
"$script" --build "$work/build" 256x20x24x24 256x128 >"$work/said"
cmp "$work/before" "$work/table" || fail 'is another the second time'
rc=0; "$script" --nonsense 2>"$work/said" || rc=$?
[[ $rc == 2 ]] || fail "exit code $rc for an unknown flag"
