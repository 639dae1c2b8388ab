#!/usr/bin/env bash
# scripts/gpu_checks.sh with the real program where it has no GPU, and, its programs played by stand-ins, what it says
# of parts that fail or cannot run.
# usage: gpu_checks_test.sh GPU_CHECKS_SH BUILD_DIR
set -euo pipefail
checks=$1 build=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CUDA_VISIBLE_DEVICES= CUDA_HOME=$work/none

fail() { printf '%s\n-- exit code %s:\n' "$1" "$rc"; cat "$work/said"; exit 1; }
run() { rc=0; PATH=$work/bin:$PATH "$checks" "$@" >"$work/said" 2>&1 || rc=$?; }
expect() {  # RC PATTERN...
  [[ $rc == "$1" ]] || fail "exit code $rc instead of $1"
  local pattern
  for pattern in "${@:2}"; do grep -qE -- "$pattern" "$work/said" || fail "does not say: $pattern"; done
}
tool() {  # FILE BODY
  printf '#!%s\n%s\n' "$BASH" "$2" >"$1" && chmod +x "$1"
}

mkdir "$work/bin" "$work/build"
run --build "$build" "$work/output"
expect 1 'needs a GPU that bntrain can use' "error: --device: 'cuda' cannot be used: "
[[ ! -e $work/output ]] || fail 'should leave nothing behind'

# A bntrain that trains anywhere: it writes the files that it is asked for. The networks of one seed fail where BAD says so.
tool "$work/build/bntrain" '[[ " $* " != *" check "*" --seed ${BAD-none} "* ]] || { echo "error: step 3 differs"; exit 1; }
[[ " $* " != *" check --steps 50 "* ]] || sleep ${STEP_SECONDS-0}
while (($#)); do
  case $1 in
    --metrics) echo "{\"event\": \"step\", \"loss\": ${LOSS-1}}" >"$2" ;;
    --save) echo "${MODEL-a}" >"$2" ;;
  esac
  shift
done'
# Test programs of two tests, of which one fails where BAD_TEST names it; every test is counted.
for name in bntrain_{kernel_gpu_tests,cuda_tests,tests}; do
  tool "$work/build/$name" 'case $* in
  *--gtest_list_tests*) printf "Running main()\nGpu/Suite.\n  One/cuda  # GetParam() = cuda\n  Two\n" ;;
  *--gtest_filter=$BAD_TEST) echo "Expected equality"; exit 1 ;;
  *) echo "$*" >>"$RUNS" ;;
esac'
done
tool "$work/build/bntrain_kernel_bench" 'sleep ${BENCH_SECONDS-0}; echo "256x128  forward  cold  automatic (plain)  7.00"'
tool "$work/bin/python3" '[[ $1 != */compare_losses.py && $1 != */random_networks.py ]] || exec /usr/bin/python3 "$@"'
tool "$work/bin/compute-sanitizer" 'echo "========= ERROR SUMMARY: 0 errors"'
export RUNS=$work/runs BAD_TEST=none

run --build "$work/build" "$work/output"
expect 0 '^kernel-tests +ok' '^cuda-tests +ok' '^backend-tests +ok' '^racecheck-kernel-tests +ok' '^synccheck-kernel-bench +ok' '^memcheck-training +ok' \
  '^single-steps +ok' '^random-networks +ok' '^free-steps +ok' '^same-bits +ok' '^kernels-256x64x112x112 +ok' '^training-tf32 +ok' '^pytorch +ok'
expect 0 '^256x128 +forward +cold +automatic' '^real'
grep -q '^same-bits *ok' "$work/output/summary.txt" || fail 'no summary'
[[ -e $work/output/initcheck-kernel-bench.log ]] || fail 'no log'
[[ $(wc -l <"$work/output/networks.txt") == 120 ]] || fail 'not 120 networks'
[[ $(sort -u "$work/runs") == "$(printf '%s\n' '--gtest_brief=1 --gtest_filter=Gpu/Suite.'{One/cuda,Two})" ]] || fail 'not one process a test'
[[ $(wc -l <"$work/runs") == 6 ]] || fail 'not every test once'

tool "$work/bin/compute-sanitizer" 'case $2 in
  memcheck) echo "========= ERROR SUMMARY: 2 errors"; exit 99 ;;
  racecheck) echo "========= RACECHECK SUMMARY: 1 hazard displayed (1 error, 0 warnings)"; exit 99 ;;
  initcheck) echo "========= Error: no permission to look"; exit 1 ;;
  synccheck) echo "a test failed"; exit 1 ;;
esac'
bad_seed=$(sed -n 's/.* --seed \([0-9]*\) .*/\1/p' "$work/output/networks.txt" | head -1)
BAD=$bad_seed BAD_TEST=Gpu/Suite.Two run --build "$work/build" "$work/output"
expect 1 '^cuda-tests +FAILED, exit code 1: .*/cuda-tests.log: 2 tests, 1 failed, 0 skipped' \
  '^random-networks +FAILED, exit code 1: .*/random-networks.log: [1-9] of 120 networks failed' '^single-steps +ok' \
  '^memcheck-kernel-tests +FAILED, exit code 99' '^racecheck-kernel-tests +FAILED, exit code 99' \
  '^initcheck-kernel-tests +COULD NOT RUN: =+ Error: no permission to look' \
  '^synccheck-kernel-tests +FAILED, exit code 1' '^same-bits +ok'
grep -q '^FAILED Gpu/Suite.Two' "$work/output/cuda-tests.log" || fail 'does not name the test'
grep -q -- "^FAILED .*--seed $bad_seed " "$work/output/random-networks.log" || fail 'does not name the network'
awk '{ print ($2 == "FAILED," ? 1 : $2 == "ok" ? 3 : 2) }' "$work/output/summary.txt" | sort -c || fail 'failures do not come first'
tool "$work/bin/compute-sanitizer" 'echo "========= ERROR SUMMARY: 0 errors"'

# A budget that the first steps use up, and an end from outside.
STEP_SECONDS=60 run --budget 8 --seed 2 --build "$work/build" "$work/output"
expect 0 '^info +ok' '^single-steps +NOT FINISHED: the budget was used up after [0-9] s' '^not begun, .*: random-networks kernel-tests .* pytorch$'
PATH=$work/bin:$PATH BENCH_SECONDS=30 "$checks" --build "$work/build" "$work/cut" >"$work/said" 2>&1 & whole=$!
for ((i = 0; i < 300; ++i)); do [[ ! -e $work/cut/kernels-256x20x24x24.log ]] || break; sleep 0.1; done
kill $whole; rc=0; wait $whole || rc=$?
expect 143 '^single-steps +ok'
grep -q '^single-steps *ok' "$work/cut/results.txt" || fail 'leaves no results'
run --seed; expect 2 '^usage: '
run --budget soon --build "$work/build"; expect 2 '^usage: '

tool "$work/bin/python3" 'echo "Traceback
ModuleNotFoundError: no torch"; [[ $1 == */compare_losses.py || $1 == */random_networks.py ]]'
run --build "$work/build" "$work/output"
expect 0 '^pytorch +COULD NOT RUN: ModuleNotFoundError: no torch' '^free-steps +ok'
tool "$work/bin/python3" '[[ $1 != */compare_losses.py && $1 != */random_networks.py ]] || exec /usr/bin/python3 "$@"'

rm "$work/bin/compute-sanitizer"
if ! type -P compute-sanitizer >/dev/null && [[ ! -e ${checks%/*}/../build/cuda-toolkit ]]; then
  run --build "$work/build" "$work/output"
  expect 0 '^memcheck-kernel-tests +COULD NOT RUN: there is no compute-sanitizer'
fi

# Two runs that differ, and losses that do.
sed -i 's/${MODEL-a}/$RANDOM$RANDOM/; s/${LOSS-1}/$RANDOM/' "$work/build/bntrain"
run --build "$work/build" "$work/output"
expect 1 '^same-bits +FAILED' '^free-steps +FAILED'
