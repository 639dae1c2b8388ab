#!/usr/bin/env bash
# Installs what is missing, builds, runs all tests.
# usage: scripts/test.sh [ARGUMENT OF ctest...]      e.g. scripts/test.sh -R BatchNorm
set -euo pipefail
[[ ${1-} != @(-h|--help) ]] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0; }
here=${BASH_SOURCE[0]%"${BASH_SOURCE[0]##*/}"}
root=$(cd "${here:-.}/.." && pwd -P)
"$root/scripts/setup.sh" --tests
"$root/scripts/build.sh" release
exec ctest --test-dir "$root/build/release" --output-on-failure --no-tests=error --parallel "$(nproc)" "$@"
