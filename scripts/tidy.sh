#!/usr/bin/env bash
# Builds with clang-tidy (.clang-tidy); any finding fails. The library and the program, or the TARGET named.
# usage: scripts/tidy.sh [TARGET]
set -euo pipefail
[[ ${1-} != @(-h|--help) ]] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0; }
here=${BASH_SOURCE[0]%"${BASH_SOURCE[0]##*/}"}
root=$(cd "${here:-.}/.." && pwd -P)
"$root/scripts/setup.sh" clang-tidy
"$root/scripts/build.sh" tidy "${1-bntrain_cli}"
