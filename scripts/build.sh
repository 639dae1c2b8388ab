#!/usr/bin/env bash
# Configures build/PRESET if needed and builds TARGET there. Says how long that may take, then how far it is: on a
# terminal in ninja's own line, elsewhere in a line every 30 seconds. Silent when there is nothing to build; the whole log
# when that fails.
# usage: scripts/build.sh PRESET [TARGET]      all targets, tests included, when none is named
set -euo pipefail
[[ ${1-} != @(-h|--help) ]] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0; }
here=${BASH_SOURCE[0]%"${BASH_SOURCE[0]##*/}"}
root=$(cd "${here:-.}/.." && pwd -P)
preset=${1:?usage: scripts/build.sh PRESET [TARGET]}
target=${2-all}
build=$root/build/$preset
log=$build/build.log

# The program must build where GoogleTest is not installed.
tests=ON
[[ $target != bntrain_cli ]] || tests=OFF

run() {
  "$@" >"$log.new" 2>&1 || { cat "$log.new" >&2; exit 1; }
}
cached() { grep -qsxF "$1" "$build/CMakeCache.txt"; }

# A build folder that came here with a copied or moved tree still points at the old place, and one that was configured
# before `setup.sh --cuda` does not know the compiler.
is_configured() {
  [[ -e $build/build.ninja && ! $root/build/cuda-toolkit/packages.txt -nt $build/CMakeCache.txt ]] &&
    cached "CMAKE_HOME_DIRECTORY:INTERNAL=$root"
}

# ninja's "[12/150] Building ..." as a plain line now and then; ends with its parent's kill.
report() {
  local line
  # A sleep that outlives this holds no pipe of the caller's.
  while sleep "${BNTRAIN_BUILD_REPORT_SECONDS:-30}" >/dev/null 2>&1; do
    line=$(tail -n 1 "$log.new" 2>/dev/null) && [[ $line == \[*/*\]* ]] || continue
    echo "building build/$preset: ${line%%\]*}] steps" >&2
  done
}

if ! is_configured; then
  echo "configuring build/$preset ..." >&2
  mkdir -p "$build"
  run cmake --fresh -S "$root" --preset "$preset" -DBNTRAIN_TESTS=$tests
elif [[ $tests == ON ]] && cached BNTRAIN_TESTS:BOOL=OFF; then
  run cmake -S "$root" --preset "$preset" -DBNTRAIN_TESTS=ON
fi
processors=$(nproc)
steps=$(cmake --build "$build" --target "$target" -- -n 2>/dev/null | grep -c '^\[') || true
((steps)) || exit 0
# A step takes about 4 seconds of a processor of 2022.
minutes=$(((steps * 4 / processors + 59) / 60))
echo "building build/$preset: $steps steps, about $minutes minute$([[ $minutes == 1 ]] || echo s) on $processors processors without a compiler cache" >&2
if [[ -t 2 ]]; then
  cmake --build "$build" --parallel "$processors" --target "$target" >&2
else
  report &
  reporter=$!
  trap 'kill "$reporter" 2>/dev/null' EXIT
  run cmake --build "$build" --parallel "$processors" --target "$target"
  mv "$log.new" "$log"
fi
