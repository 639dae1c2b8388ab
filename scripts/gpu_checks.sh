#!/usr/bin/env bash
# Everything that wants a GPU, on a machine that has one, what tells most first: the GPU beside the CPU step by step, on
# the reference network and on random ones; the tests; training and the kernels timed; NVIDIA's sanitizers; PyTorch. Goes
# on after a failure. Each part is a process of its own with a time limit, and its output is in the output folder as it
# comes, so that a run that is cut off leaves what it had. The summary has failures first; exit code 1 where there are any.
# usage: scripts/gpu_checks.sh [--budget SECONDS] [--seed N] [--build FOLDER] [OUTPUT_FOLDER]
#   --budget SECONDS   begins nothing after that, and ends what runs then
#   --seed N           other random networks than those of seed 1
#   --build FOLDER     use what was built there; installs and builds nothing
#   OUTPUT_FOLDER      build/gpu-checks when none is named
set -euo pipefail
[[ ${1-} != @(-h|--help) ]] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0; }
here=${BASH_SOURCE[0]%"${BASH_SOURCE[0]##*/}"}
root=$(cd "${here:-.}/.." && pwd -P)
usage() { sed -n '6,10s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2; }
build= budget=1000000
export seed=1
while [[ ${1-} == --* ]]; do
  case $1 in
    --budget) [[ ${2-} =~ ^[1-9][0-9]*$ ]] || usage; budget=$2 ;;
    --seed) [[ ${2-} =~ ^[0-9]+$ ]] || usage; seed=$2 ;;
    --build) [[ -n ${2-} ]] || usage; build=$2 ;;
    *) usage ;;
  esac
  shift 2
done
output=${1-$root/build/gpu-checks}

if [[ -z $build ]]; then
  "$root/scripts/setup.sh" --tests
  "$root/scripts/build.sh" release
  build=$root/build/release
fi
bntrain=$build/bntrain
export root output bntrain

few=(--data synthetic:shape=1x28x28,train=512,test=256 --quiet)
if ! reason=$("$bntrain" --device cuda "${few[@]}" --steps 1 2>&1 >/dev/null); then
  printf 'gpu_checks: this needs a GPU that bntrain can use\n%s\n' "$reason" >&2
  exit 1
fi
mkdir -p "$output"
processes=$(nproc)
export processes=$((processes < 12 ? processes : 12))

results=$output/results.txt  # a line as each part ends
: >"$results"
add_result() {  # NAME RESULT
  printf '%-28s %s\n' "$1" "$2" | tee -a "$results" >&2
}
failed='^[^ ]+ +FAILED' ok='^[^ ]+ +ok '
summarise() {
  {
    grep -E "$failed" "$results" || true
    grep -vE "$failed|$ok" "$results" || true
    ((${#not_begun[@]} == 0)) || printf 'not begun, the budget was used up: %s\n' "${not_begun[*]}"
    grep -E "$ok" "$results" || true
  } >"$output/summary.txt"
  printf '\n%s\n\n' "$(cat "$output/summary.txt")"
  # The figures in short; the logs have their headings.
  grep -hE ' (cold|hot) +(automatic|cudnn)' "$output"/kernels-*.log 2>/dev/null || true
  grep -hE '^(sum of parts|real)' "$output"/{parts,training}-*.log "$output/parts.log" 2>/dev/null || true
}
part= not_begun=()
trap summarise EXIT
trap 'kill $part; exit 130' INT
trap 'kill $part; exit 143' TERM

# Runs a command with a time limit, its output in NAME.log and its exit code in rc. Returns 1 where the budget did not
# let it begin or end, which is no failure.
run_part() {  # NAME LIMIT COMMAND...
  local limit=$2 left=$((budget - SECONDS))
  rc=0 start=$SECONDS log=$output/$1.log
  if ((left < 3)); then
    not_begun+=("$1")
    return 1
  fi
  timeout -k 5 $((limit < left ? limit : left)) "${@:3}" >"$log" 2>&1 &
  part=$!
  wait $part || rc=$?
  [[ $rc == 124 || $rc == 137 ]] || return 0
  if ((left < limit)); then
    add_result "$1" "NOT FINISHED: the budget was used up after $((SECONDS - start)) s"
    return 1
  fi
  printf 'took longer than %s s\n' "$limit" >>"$log"
}
add_verdict() {  # NAME, after run_part
  if [[ $rc == 0 ]]; then
    add_result "$1" "ok ($((SECONDS - start)) s)"
  else
    add_result "$1" "FAILED, exit code $rc: $log: $(tail -n 1 "$log")"
  fi
}
check() {  # NAME LIMIT COMMAND...
  run_part "$@" || return 0
  add_verdict "$1"
}

# A sanitizer that never came to look at a kernel has found nothing, and says why.
sanitizer=$(type -P compute-sanitizer || ls {"$root/build/cuda-toolkit","${CUDA_HOME:-/usr/local/cuda}"}/bin/compute-sanitizer 2>/dev/null | head -1) || true
sanitize() {  # TOOL NAME COMMAND...
  local name=$1-$2
  if [[ -z $sanitizer ]]; then
    add_result "$name" 'COULD NOT RUN: there is no compute-sanitizer (scripts/setup.sh --cuda fetches it)'
    return
  fi
  run_part "$name" 300 "$sanitizer" --tool "$1" --error-exitcode 99 "${@:3}" || return 0
  if [[ $rc != 0 ]] && ! grep -q 'SUMMARY: [1-9]' "$log" && grep -q '^========= \(Error\|Internal\)' "$log"; then
    add_result "$name" "COULD NOT RUN: $(grep -m1 '^========= \(Error\|Internal\)' "$log")"
  else
    add_verdict "$name"
  fi
}

# What follows runs under `timeout`, as commands of another shell.
check_network() {  # FLAGS of a line of random_networks.py
  local said rc=0
  said=$(timeout 60 "$bntrain" --device check --quiet "$@" 2>&1 >/dev/null) || rc=$?
  [[ $rc == 0 ]] || { printf 'FAILED (exit code %s) %s\n%s\n' $rc "$*" "$said"; exit 1; }
}
check_random_networks() {
  local count=120 rc=0
  python3 "$root/scripts/random_networks.py" --seed "$seed" --count $count >"$output/networks.txt" || return
  xargs -L 1 -P "$processes" bash -c 'check_network "$@"' bash <"$output/networks.txt" >"$output/networks.failed" || rc=1
  cat "$output/networks.failed"
  printf '%s of %s networks failed\n' "$(grep -c ^FAILED "$output/networks.failed" || true)" $count
  return $rc
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
whole_process() { time "$bntrain" --device cuda --epochs 5 --lr 0.2 --json "$@"; }
export -f check_network check_random_networks losses_beside_the_cpu same_bits_twice whole_process
check_function() { check "$1" "$2" bash -c '"$@"' bash "${@:3}"; }

check info 20 "$bntrain" info
check single-steps 60 "$bntrain" --device check --steps 50
check_function random-networks 240 check_random_networks
# Not by ctest, whose files hold the paths of the machine that built them.
check kernel-tests 240 "$root/scripts/run_each_test.sh" -j $processes "$build/bntrain_kernel_gpu_tests"
check cuda-tests 120 "$root/scripts/run_each_test.sh" -j $processes "$build/bntrain_cuda_tests"
check backend-tests 240 "$root/scripts/run_each_test.sh" -j $processes "$build/bntrain_tests" 'Gpu/*'
check_function same-bits 60 same_bits_twice
check_function training-fp32 60 whole_process
check_function training-tf32 60 whole_process --precision tf32
check parts 60 "$bntrain" time --device cuda
wide=conv64x3p1,bn,relu,conv64x3p1,bn,relu,maxpool2,conv128x3p1,bn,relu,conv128x3p1,bn,relu,maxpool2,conv256x3p1,bn,relu,conv256x3p1,bn,relu,maxpool2,fc10
for precision in fp32 tf32; do
  check parts-wide-$precision 60 "$bntrain" time --device cuda --quiet --repetitions 8 --precision $precision --network $wide \
    --data synthetic:shape=3x32x32,classes=10,train=1024,test=100 --batch-size 256
done
# A process each, so that a kernel that fails takes no other's figures along.
for shape in 256x20x24x24 256x50x10x10 256x{20x24x24,50x10x10}+relu+maxpool2 32x512x7x7 256x128 65536x1024 128x256x56x56 256x64x112x112; do
  check "kernels-$shape" 60 "$build/bntrain_kernel_bench" --shapes $shape --json "$output/kernels-$shape.json"
done
check_function free-steps 60 losses_beside_the_cpu
sanitize memcheck training "$bntrain" --device cuda "${few[@]}" --steps 3
for tool in memcheck racecheck initcheck synccheck; do
  sanitize $tool kernel-bench "$build/bntrain_kernel_bench" --ours-only --samples 1 --shapes 64x6x5x5 257x33 8x3x64x64 9x3x7x6+relu+maxpool2
done
for tool in memcheck racecheck initcheck synccheck; do
  sanitize $tool kernel-tests "$build/bntrain_kernel_gpu_tests" --gtest_brief=1
done
if ((budget - SECONDS < 3)); then
  not_begun+=(pytorch)
elif reason=$(timeout 60 python3 -c 'import torch; torch.zeros(1, device="cuda")' 2>&1); then
  check parts-wide-pytorch 90 python3 "$root/scripts/pytorch_parity/torch_step_time.py" --network $wide --input 3x32x32
  check pytorch 900 python3 "$root/scripts/compare_pytorch.py" --bntrain "$bntrain" --device cuda --check speed \
    ${BNTRAIN_DATA:+--data "$BNTRAIN_DATA"} --json "$output/pytorch.json" --markdown "$output/pytorch.md"
else
  add_result pytorch "COULD NOT RUN: ${reason##*$'\n'}"
fi
! grep -qE "$failed" "$results"
