#!/usr/bin/env bash
# Installs what is missing, builds, runs all tests.
# usage: scripts/test.sh [ARGUMENT OF ctest...]      e.g. scripts/test.sh -R BatchNorm
set -euo pipefail
root=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd -P)
"$root/scripts/setup.sh" --tests
"$root/scripts/build.sh" release
exec ctest --test-dir "$root/build/release" --output-on-failure --no-tests=error --parallel "$(nproc)" "$@"
