#!/usr/bin/env bash
# What the compiler made of every kernel: registers, shared memory, stack frame and spills. Fails where a kernel spills,
# has a stack frame, or has an instruction that the device refuses. Compiles for compute capability 8.0, 9.0 and 12.0.
# usage: scripts/kernel_report.sh                    all kernels
#        scripts/kernel_report.sh SOURCE.cu...       those of some sources
#        scripts/kernel_report.sh --objects FILE...  those of a build's objects, in seconds; spills count as stack there
set -euo pipefail
[[ ${1-} != @(-h|--help) ]] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0; }
here=${BASH_SOURCE[0]%"${BASH_SOURCE[0]##*/}"}
root=$(cd "${here:-.}/.." && pwd -P)
architectures=(80 90 120)

# FILE KERNEL of those that spill up to 16 bytes, because their launch bounds leave them too few registers.
known='
statistics.cu             merge_kernel
'

# ptxas 13.0 makes this of a loop of hinted asynchronous copies whose slot is a uniform counter: a descriptor is a pair of
# registers and begins with an even one. The device stops with an illegal instruction; unrolling the loop avoids it.
illegal='LDGSTS.*\[R[0-9]+\+UR[0-9]+[^]]*\], desc\[UR[0-9]*[13579]\]'

# Reads lines ARCHITECTURE REGISTERS SHARED STACK SPILLED FILE KERNEL (mangled) and prints them as a table. Fails where
# one spills or has a stack frame that is not known.
judge() {
  c++filt | sed -E 's/\(anonymous namespace\):://g; s/bntrain::((kernels|simt)::)?//g; s/ void / /' |
    awk -v known="$known" '
      BEGIN {
        entries = split(known, entry, "\n")
        format = "%3s %9s %7s %6s %7s  %-26s %s\n"
        printf format, "sm", "registers", "shared", "stack", "spilled", "file", "kernel"
      }
      {
        kernel = $7
        for (i = 8; i <= NF; ++i) kernel = kernel " " $i
        sub(/\([^()]*\)$/, "", kernel)
        verdict = $4 + $5 > 0 ? "<- WRONG" : ""
        for (i = 1; i <= entries; ++i)
          if (verdict != "" && split(entry[i], word, " ") == 2 && word[1] == $6 && index(kernel, word[2])) verdict = "(known)"
        if (verdict == "<- WRONG") wrong = 1
        printf format, $1, $2, $3, $4, $5, $6, kernel " " verdict
      }
      END { exit wrong }'
}

find_cuobjdump() {  # beside nvcc, in the toolkit that setup.sh fetched, in PATH
  local nvcc folder
  nvcc=$(type -P "${CUDACXX:-nvcc}") || nvcc=
  for folder in ${nvcc:+"${nvcc%/*}"} "$root/build/cuda-toolkit/bin" ${PATH//:/ }; do
    if [[ -x $folder/cuobjdump && -x $folder/nvdisasm ]]; then printf '%s\n' "$folder"; return; fi
  done
  return 1
}

read_object() {  # FILE: its rows
  local name=${1##*/}
  cuobjdump --dump-resource-usage "$1" | awk -v file="${name%.o}" '
    / arch = / || /^arch = / { arch = $NF; sub(/^sm_/, "", arch) }
    / Function / { kernel = $2; sub(/:$/, "", kernel) }
    / REG:/ {
      gsub(/[A-Z]+(\[[0-9]+\])?:/, "")
      print arch, $1, $3, $2, 0, file, kernel
    }'
}

compile() {  # SOURCE: its rows, from what ptxas says of each architecture
  local name=${1##*/} log=$work/${1##*/}.log codes=()
  for arch in "${architectures[@]}"; do codes+=(-gencode "arch=compute_$arch,code=sm_$arch"); done
  "${CUDACXX:-nvcc}" -std=c++20 -O3 -DNDEBUG -I"$root" -I"$root/include" -I"$root/tests" "${codes[@]}" -Xptxas -v -fatbin \
    -o "$work/$name.fatbin" "$1" 2>"$log" || { cat "$log" >&2; exit 2; }
  awk -v file="$name" '
    /Compiling entry function/ { kernel = $7; arch = $9; gsub(/\x27/, "", kernel); gsub(/\x27|sm_/, "", arch) }
    /bytes stack frame/ { stack = $1; spilled = $5 + $9 }
    /Used [0-9]+ registers/ {
      shared = match($0, /[0-9]+ bytes smem/) ? substr($0, RSTART, RLENGTH) + 0 : 0
      print arch, $5, shared, stack, spilled, file, kernel
    }' "$log"
}

refuse_illegal() {  # FILE: an object or a fatbin
  if cuobjdump -sass "$1" | grep -E "$illegal" >&2; then
    printf 'kernel_report: %s has this instruction, which the device refuses\n' "$1" >&2
    return 1
  fi
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
disassembler=$(find_cuobjdump) && PATH=$disassembler:$PATH
rc=0
if [[ ${1-} == --objects ]]; then
  shift
  if [[ -z $disassembler ]]; then
    printf 'kernel_report: skipped, there are no cuobjdump and nvdisasm\n'
    exit
  fi
  for object in "$@"; do read_object "$object"; done >"$work/rows"
  for object in "$@"; do refuse_illegal "$object" || rc=1; done
else
  if (($# == 0)); then
    mapfile -t sources < <(find "$root/kernels" -name '*.cu' | sort)
    set -- "${sources[@]}"
  fi
  for source in "$@"; do compile "$source"; done >"$work/rows"
  if [[ -n $disassembler ]]; then
    for source in "$@"; do refuse_illegal "$work/${source##*/}.fatbin" || rc=1; done
  else
    printf 'kernel_report: no cuobjdump and nvdisasm, so instructions were not looked at\n' >&2
  fi
fi
judge <"$work/rows" || rc=1
exit $rc
