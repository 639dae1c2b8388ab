#!/usr/bin/env bash
# scripts/run_each_test.sh with a stand-in for a test program.
# usage: run_each_test_test.sh RUN_EACH_TEST_SH
set -euo pipefail
script=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/program" <<'BODY'
case $* in
  *list_tests*Nothing*) echo 'Running main()' ;;
  *list_tests*) printf 'Running main()\nOne.\n  Good\n  Crash\nMany/Two.  # TypeParam\n  Slow/0  # GetParam() = 1\n  Skipped/1\n' ;;
  *One.Crash) kill -SEGV $$ ;;
  *Slow/0) sleep 60 ;;
  *Skipped/1) echo '[  SKIPPED ] why there is no GPU: none' ;;
esac
BODY
sed -i "1i#!$BASH" "$work/program" && chmod +x "$work/program"

fail() { printf '%s\n-- exit code %s:\n' "$1" "$rc"; cat "$work/said"; exit 1; }
run() { rc=0; "$script" "$@" >"$work/said" 2>&1 || rc=$?; }
expect() {  # RC PATTERN...
  [[ $rc == "$1" ]] || fail "exit code $rc instead of $1"
  local pattern
  for pattern in "${@:2}"; do grep -qE -- "$pattern" "$work/said" || fail "does not say: $pattern"; done
}
run -j 3 -t 2 "$work/program"
expect 1 '^FAILED One.Crash \(exit code 139\)' '^FAILED Many/Two.Slow/0 \(exit code 124\)' 'took longer than 2 s' \
  '^SKIPPED Many/Two.Skipped/1' '^4 tests, 2 failed, 1 skipped$'
run "$work/program" Nothing
expect 1 'no test matches Nothing'
sed -i 's/One.Good/none/; s/.*Many.Two.*/  *list_tests*) echo "skipped, there is no GPU: none" ;;/' "$work/program"
run "$work/program"
expect 0 'skipped, there is no GPU: none'
