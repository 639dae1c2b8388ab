#!/usr/bin/env bash
# Runs the unit tests under the address and undefined-behaviour sanitizers.
# usage: scripts/sanitize.sh [ARGUMENT OF GoogleTest...]      e.g. scripts/sanitize.sh --gtest_filter='Idx*'
set -euo pipefail
root=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd -P)
"$root/scripts/setup.sh" --tests
"$root/scripts/build.sh" asan bntrain_tests
UBSAN_OPTIONS=print_stacktrace=1 exec "$root/build/asan/bntrain_tests" --gtest_brief=1 "$@"
