#!/usr/bin/env bash
# Runs the unit tests under the address and undefined-behaviour sanitizers, and without arguments the seeds of the fuzz
# targets too.
# usage: scripts/sanitize.sh [ARGUMENT OF GoogleTest...]      e.g. scripts/sanitize.sh --gtest_filter='Idx*'
set -euo pipefail
root=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd -P)
"$root/scripts/setup.sh" --tests
for tests in bntrain_tests bntrain_kernel_tests; do
  "$root/scripts/build.sh" asan $tests
  UBSAN_OPTIONS=print_stacktrace=1 "$root/build/asan/$tests" --gtest_brief=1 "$@"
done
(($# == 0)) || exit 0
"$root/scripts/build.sh" asan tests/fuzz/all
ctest --test-dir "$root/build/asan" --tests-regex '^fuzz\.' --no-tests=error --output-on-failure --parallel "$(nproc)"
