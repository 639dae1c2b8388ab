#!/usr/bin/env bash
# Builds and runs the benchmark of the batch norm kernels beside cuDNN's, on the GPU here.
# usage: scripts/bench_kernels.sh [ARGUMENT OF bntrain_kernel_bench...]      e.g. --shapes 256x20x24x24 --json FILE
set -euo pipefail
[[ ${1-} != @(-h|--help) ]] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0; }
here=${BASH_SOURCE[0]%"${BASH_SOURCE[0]##*/}"}
root=$(cd "${here:-.}/.." && pwd -P)
"$root/scripts/setup.sh" --tests
"$root/scripts/build.sh" release benchmarks/all
program=$root/build/release/bntrain_kernel_bench
if [[ ! -x $program ]]; then
  echo "bench_kernels: built without the CUDA backend, for want of nvcc or cuDNN; scripts/setup.sh --cuda fetches them" >&2
  exit 1
fi
exec "$program" "$@"
