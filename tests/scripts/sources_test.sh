#!/usr/bin/env bash
# Every source is in a list of CMake's: one that is in none would be compiled, and a test in it run, by nobody.
# usage: sources_test.sh ROOT
set -euo pipefail
cd "$1"

# Whether a CMakeLists.txt or *.cmake in a folder above $1 names it, by the path from there, perhaps without its ending.
is_listed() {
  local folder=${1%/*} rest list
  while :; do
    rest=${1#"$folder"/}
    rest=${rest%_fuzz.cpp}
    for list in "$folder"/CMakeLists.txt "$folder"/*.cmake; do
      if [[ -e $list ]] && grep -qE "(^|[ (/,])${rest%.*}(\\.c|[ )]|$)" "$list"; then return 0; fi
    done
    [[ $folder == */* ]] || return 1
    folder=${folder%/*}
  done
}

sources=$(find src kernels tests benchmarks \( -name '*.cpp' -o -name '*.cu' \) -not -path '*/consumer/*')
missing=0
for source in $sources; do
  is_listed "$source" || { printf 'in no list of CMake: %s\n' "$source" >&2; missing=1; }
done
exit $missing
