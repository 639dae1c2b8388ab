#!/usr/bin/env bash
# Formats the C++ and CUDA sources in place; with --check changes nothing and fails where something would change.
# usage: scripts/format.sh [--check]
set -euo pipefail
root=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd -P)
"$root/scripts/setup.sh" clang-format
how=(-i)
[[ ${1-} != --check ]] || how=(--dry-run --Werror)
cd "$root"
find . \( -name build -o -name '.?*' \) -prune -o -type f \( -name '*.[ch]pp' -o -name '*.cu' -o -name '*.cuh' \) -print0 |
  xargs -0 -r clang-format "${how[@]}"
