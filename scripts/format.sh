#!/usr/bin/env bash
# Formats the C++ and CUDA sources in place; with --check only shows what would change, and fails.
# usage: scripts/format.sh [--check]
set -euo pipefail
[[ ${1-} != @(-h|--help) ]] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0; }
here=${BASH_SOURCE[0]%"${BASH_SOURCE[0]##*/}"}
root=$(cd "${here:-.}/.." && pwd -P)
"$root/scripts/setup.sh" clang-format
cd "$root"
mapfile -d '' files < <(find . \( -name build -o -name '.?*' \) -prune -o \
  -type f \( -name '*.[ch]pp' -o -name '*.cu' -o -name '*.cuh' \) -print0)
if [[ ${1-} != --check ]]; then
  clang-format -i "${files[@]}"
  exit
fi
rc=0
for file in "${files[@]}"; do
  clang-format "$file" | diff -u --label "$file" --label "$file (formatted)" "$file" - || rc=1
done
exit $rc
