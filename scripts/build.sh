#!/usr/bin/env bash
# Configures build/PRESET if needed and builds TARGET there. Quiet: one line when there is something to build, the
# whole log when that fails.
# usage: scripts/build.sh PRESET [TARGET]      all targets, tests included, when none is named
set -euo pipefail
root=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd -P)
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
# The times matter to the message only: ninja finds out by itself what is to be done.
is_changed() { [[ -n $(find "$root"/{CMakeLists.txt,src,include} -newer "$log" -print -quit 2>&1) ]]; }

if ! is_configured || is_changed; then
  echo "building build/$preset ..." >&2
fi
if ! is_configured; then
  mkdir -p "$build"
  run cmake --fresh -S "$root" --preset "$preset" -DBNTRAIN_TESTS=$tests
elif [[ $tests == ON ]] && cached BNTRAIN_TESTS:BOOL=OFF; then
  run cmake -S "$root" --preset "$preset" -DBNTRAIN_TESTS=ON
fi
run cmake --build "$build" --parallel "$(nproc)" --target "$target"
mv "$log.new" "$log"
