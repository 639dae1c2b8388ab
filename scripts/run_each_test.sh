#!/usr/bin/env bash
# Runs every test of a GoogleTest program in a process of its own, several side by side, and shows what failed ones said.
# On a GPU an illegal access of one test makes every later one in its process fail.
# usage: scripts/run_each_test.sh [-j PROCESSES] [-t SECONDS_OF_A_TEST] PROGRAM [FILTER]
set -euo pipefail
[[ ${1-} != @(-h|--help) ]] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0; }
processes=$(nproc)
export seconds=60
while getopts j:t: option; do
  case $option in
    j) processes=$OPTARG ;;
    t) seconds=$OPTARG ;;
    *) sed -n '4s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
  esac
done
shift $((OPTIND - 1))
export program=${1:?a GoogleTest program is needed} filter=${2-*}

run_test() {
  local said rc=0
  said=$(timeout "$seconds" "$program" --gtest_brief=1 --gtest_filter="$1" 2>&1) || rc=$?
  if [[ $rc != 0 ]]; then
    [[ $rc != 124 ]] || said+=" took longer than $seconds s"
    printf 'FAILED %s (exit code %s)\n%s\n' "$1" $rc "$said"
    exit 1
  elif [[ $said == *SKIPPED* ]]; then
    printf 'SKIPPED %s\n%s\n' "$1" "$said"
  fi
}
export -f run_test

listed=$("$program" --gtest_list_tests --gtest_filter="$filter")
tests=$(awk '/^[^ ].*\.($| )/ { suite = $1; next } /^  / { print suite $1 }' <<<"$listed")
if [[ -z $tests ]]; then  # a program without a GPU says so here
  printf '%s\n' "$listed"
  grep -q 'there is no GPU' <<<"$listed" || { echo "no test matches $filter"; exit 1; }
  exit 0
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
rc=0
xargs -d '\n' -n 1 -P "$processes" bash -c 'run_test "$1"' bash <<<"$tests" | tee "$log" || rc=1
printf '%s tests, %s failed, %s skipped\n' "$(wc -l <<<"$tests")" "$(grep -c ^FAILED "$log" || true)" \
  "$(grep -c ^SKIPPED "$log" || true)"
exit $rc
