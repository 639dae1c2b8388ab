#!/usr/bin/env bash
# Runs the unit tests that need no GPU under the address and undefined-behaviour sanitizers, and without arguments the
# seeds of the fuzz targets too.
# usage: scripts/sanitize.sh [ARGUMENT OF GoogleTest...]      e.g. scripts/sanitize.sh --gtest_filter='Idx*'
set -euo pipefail
[[ ${1-} != @(-h|--help) ]] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0; }
here=${BASH_SOURCE[0]%"${BASH_SOURCE[0]##*/}"}
root=$(cd "${here:-.}/.." && pwd -P)
"$root/scripts/setup.sh" --tests
# Each test program runs as a few shards: a process for every test, as ctest has it, would spend its time on the start of
# the sanitizer. An odd number of them, because tests take turns with the backends, and one of these is slow.
processors=$(nproc)
shards=$((4 * processors + 1))
for tests in bntrain_tests bntrain_kernel_tests; do
  "$root/scripts/build.sh" asan $tests
  seq 0 $((shards - 1)) | UBSAN_OPTIONS=print_stacktrace=1 GTEST_TOTAL_SHARDS=$shards xargs -P "$processors" -I {} \
    env GTEST_SHARD_INDEX={} "$root/build/asan/$tests" --gtest_brief=1 --gtest_filter='-Gpu/*' "$@"
done
(($# == 0)) || exit 0
"$root/scripts/build.sh" asan tests/fuzz/all
ctest --test-dir "$root/build/asan" --tests-regex '^fuzz\.' --no-tests=error --output-on-failure --parallel "$processors"
