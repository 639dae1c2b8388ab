#!/usr/bin/env bash
# Attacks the program and its tests, which takes hours, and prints a table of what was tried: calls of the C library that
# fail, kills, mutations of the code, coverage, fuzzing of the readers, the thread sanitizer, a soak. Every part has its log
# in build/trust. Exit code 1 when a part failed.
# usage: scripts/trust.sh [PART...]      faults kills mutations coverage fuzz threads soak; all when none is named
set -euo pipefail
[[ ${1-} != @(-h|--help) ]] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0; }
root=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd -P)
logs=$root/build/trust
mkdir -p "$logs"
parts=("$@")
((${#parts[@]} > 0)) || parts=(faults kills mutations coverage fuzz threads soak)

faults() {
  "$root/scripts/build.sh" release
  python3 "$root/tests/faults/faults.py" "$root/build/release/bntrain" "$root"/build/release/lib/libbntrain_failing_calls.so --every
}
kills() { "$root/scripts/kill_test.sh" 200; }
mutations() { "$root/scripts/mutate.py" --count 150; }
coverage() { "$root/scripts/coverage.sh"; }
fuzz() { "$root/scripts/fuzz.sh" 600; }
# What hands work to threads, on every instruction set; the executor of the kernels switches stacks, which it cannot follow.
threads() {
  "$root/scripts/build.sh" tsan bntrain_tests
  TSAN_OPTIONS=halt_on_error=1 "$root/build/tsan/bntrain_tests" --gtest_brief=1 \
    --gtest_filter='*Thread*:*RunList*:Trainer*:*cpu_v*:-Gpu/*:*cuda_on_host'
}
soak() { "$root/scripts/soak.sh" 3600; }

rc=0
printf '%-10s %-8s %8s  %s\n' part result seconds 'its last line'
for part in "${parts[@]}"; do
  [[ $(type -t "$part") == function ]] || { printf 'trust: there is no part %s\n' "$part" >&2; exit 2; }
  begin=$SECONDS result=passed
  (set -e; "$part") >"$logs/$part.log" 2>&1 || { result=FAILED; rc=1; }
  printf '%-10s %-8s %8d  %s\n' "$part" "$result" $((SECONDS - begin)) "$(tail -n 1 "$logs/$part.log" | cut -c1-120)"
done
exit $rc
