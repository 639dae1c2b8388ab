#!/usr/bin/env bash
# Builds with clang-tidy (.clang-tidy); any finding fails. The library and the program, or the TARGET named.
# usage: scripts/tidy.sh [TARGET]
set -euo pipefail
root=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd -P)
"$root/scripts/setup.sh" clang-tidy
"$root/scripts/build.sh" tidy "${1-bntrain_cli}"
