#!/usr/bin/env bash
# Everything that wants a GPU, on a machine that has one: the tests, NVIDIA's sanitizers on the kernels, the GPU beside
# the CPU step by step, two equal runs, the measurements. Goes on after a failure; the table at the end says what failed,
# and what the machine did not let run. Every part's output is in the output folder.
# usage: scripts/gpu_checks.sh [--build FOLDER] [OUTPUT_FOLDER]
#   --build FOLDER   use what was built there; installs and builds nothing
#   OUTPUT_FOLDER    build/gpu-checks when none is named
set -euo pipefail
root=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd -P)
build=
if [[ ${1-} == --build ]]; then
  build=${2:?usage: scripts/gpu_checks.sh [--build FOLDER] [OUTPUT_FOLDER]}
  shift 2
fi
[[ ${1-} != -* ]] || { sed -n '5,7s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2; }
output=${1-$root/build/gpu-checks}

if [[ -z $build ]]; then
  "$root/scripts/setup.sh" --tests
  "$root/scripts/build.sh" release
  build=$root/build/release
fi
bntrain=$build/bntrain

few=(--data synthetic:shape=1x28x28,train=512,test=256 --quiet)
if ! reason=$("$bntrain" --device cuda "${few[@]}" --steps 1 2>&1 >/dev/null); then
  printf 'gpu_checks: this needs a GPU that bntrain can use\n%s\n' "$reason" >&2
  exit 1
fi
mkdir -p "$output"

results=()
failed=0
add_result() {  # NAME RESULT
  results+=("$(printf '%-28s %s' "$1" "$2")")
  echo "${results[-1]}" >&2
}
check() {  # NAME COMMAND...
  local name=$1 rc=0 start=$SECONDS
  "${@:2}" >"$output/$name.log" 2>&1 || rc=$?
  if [[ $rc == 0 ]]; then
    add_result "$name" "ok ($((SECONDS - start)) s)"
  else
    add_result "$name" "FAILED, exit code $rc: $output/$name.log"
    failed=1
  fi
}

# A sanitizer that never came to look at a kernel has found nothing, and says why.
sanitizer=$(type -P compute-sanitizer || ls {"$root/build/cuda-toolkit","${CUDA_HOME:-/usr/local/cuda}"}/bin/compute-sanitizer 2>/dev/null | head -1) || true
sanitize() {  # TOOL NAME COMMAND...
  local name=$1-$2 rc=0 start=$SECONDS log
  log=$output/$name.log
  if [[ -z $sanitizer ]]; then
    add_result "$name" 'COULD NOT RUN: there is no compute-sanitizer (scripts/setup.sh --cuda fetches it)'
    return
  fi
  "$sanitizer" --tool "$1" --error-exitcode 99 "${@:3}" >"$log" 2>&1 || rc=$?
  if [[ $rc == 0 ]]; then
    add_result "$name" "ok ($((SECONDS - start)) s)"
  elif grep -q 'SUMMARY: [1-9]' "$log" || ! grep -q '^========= \(Error\|Internal\)' "$log"; then
    add_result "$name" "FAILED, exit code $rc: $log"
    failed=1
  else
    add_result "$name" "COULD NOT RUN: $(grep -m1 '^========= \(Error\|Internal\)' "$log")"
  fi
}

losses_beside_the_cpu() {
  local device
  for device in cpu cuda; do
    "$bntrain" --device $device --init torch --lr 0.002 --steps 50 --metrics "$output/free-$device.jsonl" --log-every 1 ||
      return
  done
  python3 "$root/scripts/compare_losses.py" "$output/free-cpu.jsonl" "$output/free-cuda.jsonl" --bound 2e-5
}
same_bits_twice() {
  local run
  for run in 1 2; do "$bntrain" --device cuda --epochs 2 --save "$output/run-$run.safetensors" || return; done
  cmp "$output"/run-{1,2}.safetensors
}
whole_process() { time "$bntrain" --device cuda --epochs 5 --lr 0.2 "$@"; }

check info "$bntrain" info
# Not by ctest, whose files hold the paths of the machine that built them.
check kernel-tests "$build/bntrain_kernel_gpu_tests" --gtest_brief=1
check cuda-tests "$build/bntrain_cuda_tests" --gtest_brief=1
check backend-tests "$build/bntrain_tests" --gtest_brief=1 --gtest_filter='Gpu/*'
for tool in memcheck racecheck initcheck synccheck; do
  sanitize $tool kernel-tests "$build/bntrain_kernel_gpu_tests" --gtest_brief=1
  sanitize $tool kernel-bench "$build/bntrain_kernel_bench" --ours-only --samples 1 --shapes 64x6x5x5 257x33 8x3x64x64
done
sanitize memcheck training "$bntrain" --device cuda "${few[@]}" --steps 3
check single-steps "$bntrain" --device check --steps 50
check free-steps losses_beside_the_cpu
check same-bits same_bits_twice
check kernels "$build/bntrain_kernel_bench" --json "$output/kernels.json"
check parts "$bntrain" time --device cuda --json
check process-fp32 whole_process
check process-tf32 whole_process --precision tf32
if reason=$(python3 -c 'import torch; torch.zeros(1, device="cuda")' 2>&1); then
  check pytorch python3 "$root/scripts/compare_pytorch.py" --bntrain "$bntrain" --device cuda --check speed \
    --json "$output/pytorch.json" --markdown "$output/pytorch.md"
else
  add_result pytorch "COULD NOT RUN: ${reason##*$'\n'}"
fi

printf '\n%s\n' "${results[@]}" | tee "$output/summary.txt"
exit $failed
