#!/usr/bin/env bash
# Lets libFuzzer search for files that a reader of files neither reads nor refuses: every TARGET of tests/fuzz (all of
# them, when none is named) for SECONDS, as many at once as there are processors. What it has learnt stays in
# build/fuzz/corpus, and the next run goes on from there. The table gives each target's processor time, which is less than
# SECONDS on a busy machine. A file that was found is named and kept in build/fuzz/findings; then the exit code is 1.
# usage: scripts/fuzz.sh [SECONDS] [TARGET...]      e.g. scripts/fuzz.sh 60 idx picture
set -euo pipefail
[[ ${1-} != @(-h|--help) ]] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0; }
here=${BASH_SOURCE[0]%"${BASH_SOURCE[0]##*/}"}
root=$(cd "${here:-.}/.." && pwd -P)
seconds=600
if [[ ${1-} =~ ^[0-9]+$ ]]; then seconds=$1; shift; fi
targets=("$@")
if ((${#targets[@]} == 0)); then
  for source in "$root"/tests/fuzz/*_fuzz.cpp; do source=${source##*/}; targets+=("${source%_fuzz.cpp}"); done
fi
for target in "${targets[@]}"; do
  [[ -e $root/tests/fuzz/${target}_fuzz.cpp ]] || { printf 'fuzz: there is no tests/fuzz/%s_fuzz.cpp\n' "$target" >&2; exit 2; }
done

"$root/scripts/setup.sh" clang libclang-rt-dev
"$root/scripts/build.sh" fuzz tests/fuzz/all

build=$root/build/fuzz
mkdir -p "$build/findings"
fuzz_one() {
  local target=$1 TIMEFORMAT='%U %S'
  mkdir -p "$build/corpus/$target"
  # The timeout counts waiting for a processor as well, so it is far above what a file may take.
  { time "$build/${target}_fuzz" -max_total_time="$seconds" -max_len=65536 -timeout=120 -report_slow_units=120 \
    -rss_limit_mb=1500 -print_final_stats=1 -artifact_prefix="$build/findings/$target-" \
    "$build/corpus/$target" "$root/tests/fuzz/corpus/$target" >"$build/$target.log" 2>&1; } 2>"$build/$target.time"
}
set -m  # each run is a process group of its own, so that its end takes the fuzzer with it
runs=()
stop_runs() { local run; for run in $(jobs -pr); do kill -- "-$run" 2>/dev/null || true; done; }
trap stop_runs EXIT
for target in "${targets[@]}"; do
  while (($(jobs -pr | wc -l) >= $(nproc))); do wait -n || true; done
  fuzz_one "$target" &
  runs+=($!)
done

rc=0
printf '%-12s %10s %10s %10s %8s %8s  %s\n' target 'cpu s' executions edges corpus MiB finding
for i in "${!targets[@]}"; do
  target=${targets[i]} log=$build/${targets[i]}.log finding=none
  if ! wait "${runs[i]}"; then
    rc=1
    finding=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
    finding=${finding:-no file, see $log}
  fi
  stat() { sed -n "s/^stat::$1: *//p" "$log"; }
  # No such line when a seed is the finding.
  read -r _ edges _ _ _ corpus < <(grep -o 'cov: [0-9]* .*corp: [0-9]*' "$log" | tail -n 1) || true
  printf '%-12s %10.0f %10s %10s %8s %8s  %s\n' "$target" "$(awk '{ print $1 + $2 }' "$build/$target.time")" \
    "$(stat number_of_executed_units)" "${edges:--}" "${corpus:--}" "$(stat peak_rss_mb)" "$finding"
done
exit $rc
