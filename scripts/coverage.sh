#!/usr/bin/env bash
# Runs the tests that need no GPU in a build that counts executed lines, and prints the share of the lines of src/ and
# kernels/ that were, by folder and by file, least first; build/coverage/index.html shows which were not. Fails below
# LEAST percent.
# usage: scripts/coverage.sh [LEAST]      92 by default
set -euo pipefail
[[ ${1-} != @(-h|--help) ]] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0; }
root=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd -P)
least=${1:-92}
build=$root/build/coverage
"$root/scripts/setup.sh" --tests gcovr
"$root/scripts/build.sh" coverage
find "$build" -name '*.gcda' -delete
# Not those that train for accuracy or run other programs: they execute no other lines, and unoptimised for long.
ctest --test-dir "$build" --output-on-failure --no-tests=error --parallel "$(nproc)" --label-exclude gpu \
  --exclude-regex '^(interop|parity|scripts|install)\.|ReferenceExperiment' >"$build/tests.log" ||
  { tail -n 60 "$build/tests.log" >&2; exit 1; }
cd "$root"
gcovr --root "$root" --object-directory "$build" --filter 'src/' --filter 'kernels/' --filter 'include/' \
  --exclude 'kernels/simt/host/' --exclude-unreachable-branches --exclude-throw-branches --gcov-ignore-parse-errors \
  --json-summary "$build/summary.json" --html-details "$build/index.html" --fail-under-line "$least" -j "$(nproc)" \
  --sort-percentage | awk 'NR > 5'
