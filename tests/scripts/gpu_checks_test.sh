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
run() { rc=0; PATH=$work/bin:$PATH "$checks" --build "$@" >"$work/said" 2>&1 || rc=$?; }
expect() {  # RC PATTERN...
  [[ $rc == "$1" ]] || fail "exit code $rc instead of $1"
  local pattern
  for pattern in "${@:2}"; do grep -qE -- "$pattern" "$work/said" || fail "does not say: $pattern"; done
}
tool() {  # FILE BODY
  printf '#!%s\n%s\n' "$BASH" "$2" >"$1" && chmod +x "$1"
}

mkdir "$work/bin" "$work/build"
run "$build" "$work/output"
expect 1 'needs a GPU that bntrain can use' "error: --device: 'cuda' cannot be used: "
[[ ! -e $work/output ]] || fail 'should leave nothing behind'

# A bntrain that trains anywhere: it writes the files that it is asked for.
tool "$work/build/bntrain" 'while (($#)); do
  case $1 in
    --metrics) echo "{\"event\": \"step\", \"loss\": ${LOSS-1}}" >"$2" ;;
    --save) echo "${MODEL-a}" >"$2" ;;
  esac
  shift
done'
for name in bntrain_{kernel_gpu_tests,cuda_tests,tests,kernel_bench}; do tool "$work/build/$name" 'true'; done
tool "$work/bin/python3" '[[ $1 != */compare_losses.py ]] || exec /usr/bin/python3 "$@"'
tool "$work/bin/compute-sanitizer" 'echo "========= ERROR SUMMARY: 0 errors"'

run "$work/build" "$work/output"
expect 0 '^kernel-tests +ok' '^cuda-tests +ok' '^backend-tests +ok' '^racecheck-kernel-tests +ok' '^synccheck-kernel-bench +ok' '^memcheck-training +ok' \
  '^single-steps +ok' '^free-steps +ok' '^same-bits +ok' '^kernels +ok' '^pytorch +ok'
grep -q '^same-bits *ok' "$work/output/summary.txt" || fail 'no summary'
[[ -e $work/output/initcheck-kernel-bench.log ]] || fail 'no log'

tool "$work/bin/compute-sanitizer" 'case $2 in
  memcheck) echo "========= ERROR SUMMARY: 2 errors"; exit 99 ;;
  racecheck) echo "========= RACECHECK SUMMARY: 1 hazard displayed (1 error, 0 warnings)"; exit 99 ;;
  initcheck) echo "========= Error: no permission to look"; exit 1 ;;
  synccheck) echo "a test failed"; exit 1 ;;
esac'
tool "$work/build/bntrain_cuda_tests" 'exit 8'
run "$work/build" "$work/output"
expect 1 '^cuda-tests +FAILED, exit code 8: .*/cuda-tests.log' '^memcheck-kernel-tests +FAILED, exit code 99' \
  '^racecheck-kernel-tests +FAILED, exit code 99' \
  '^initcheck-kernel-tests +COULD NOT RUN: =+ Error: no permission to look' \
  '^synccheck-kernel-tests +FAILED, exit code 1' '^same-bits +ok'
tool "$work/build/bntrain_cuda_tests" 'true'

tool "$work/bin/python3" 'echo "Traceback
ModuleNotFoundError: no torch"; [[ $1 == */compare_losses.py ]]'
run "$work/build" "$work/output"
expect 1 '^pytorch +COULD NOT RUN: ModuleNotFoundError: no torch' '^free-steps +ok'
tool "$work/bin/python3" '[[ $1 != */compare_losses.py ]] || exec /usr/bin/python3 "$@"'

rm "$work/bin/compute-sanitizer"
if ! type -P compute-sanitizer >/dev/null && [[ ! -e ${checks%/*}/../build/cuda-toolkit ]]; then
  run "$work/build" "$work/output"
  expect 0 '^memcheck-kernel-tests +COULD NOT RUN: there is no compute-sanitizer'
fi

# Two runs that differ, and losses that do.
sed -i 's/${MODEL-a}/$RANDOM$RANDOM/; s/${LOSS-1}/$RANDOM/' "$work/build/bntrain"
run "$work/build" "$work/output"
expect 1 '^same-bits +FAILED' '^free-steps +FAILED'
