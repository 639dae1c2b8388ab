#!/usr/bin/env bash
# Runs the resident batch norm kernels in every tuning on the GPU here, for the shapes of the kernel benchmark, and writes
# those that are faster than what the rule chooses into the table that the kernels are compiled with. Entries of other
# cards stay. Build again, and run scripts/bench_kernels.sh, to see the difference.
# usage: scripts/tune_kernels.sh [--build FOLDER] [SHAPE...]      e.g. 256x20x24x24; all shapes when none is named
#   --build FOLDER   use what was built there; installs and builds nothing
set -euo pipefail
[[ ${1-} != @(-h|--help) ]] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0; }
here=${BASH_SOURCE[0]%"${BASH_SOURCE[0]##*/}"}
root=$(cd "${here:-.}/.." && pwd -P)
table=${BNTRAIN_TUNINGS:-$root/kernels/batch_norm/resident_tunings.inc}
build=
if [[ ${1-} == --build ]]; then
  build=${2:?usage: scripts/tune_kernels.sh [--build FOLDER] [SHAPE...]}
  shift 2
fi
[[ ${1-} != -* ]] || { sed -n '5,6s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2; }
shapes=("$@")
((${#shapes[@]} > 0)) || shapes=(256x20x24x24 256x50x10x10 32x512x7x7 256x128 65536x1024 128x256x56x56 256x64x112x112)
if [[ -z $build ]]; then
  "$root/scripts/setup.sh" --tests
  "$root/scripts/build.sh" release benchmarks/all
  build=$root/build/release
fi
measured=$(mktemp)
trap 'rm -f "$measured"' EXIT
"$build/bntrain_kernel_bench" --ours-only --variant resident --tuning all --samples 9 --shapes "${shapes[@]}" --json "$measured"
python3 "$root/scripts/tuning_table.py" "$measured" "$table"
