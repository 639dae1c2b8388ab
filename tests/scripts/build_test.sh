#!/usr/bin/env bash
# scripts/build.sh with a stand-in for cmake that takes its time: what it says elsewhere than on a terminal, when there is
# nothing to build, and when that fails.
# usage: build_test.sh BUILD_SH
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/clone/scripts" "$work/bin"
cp "$1" "$work/clone/scripts"
cat >"$work/bin/cmake" <<'EOF'
#!/usr/bin/env bash
build=$WORK/clone/build/release
[[ $1 == --build ]] || { mkdir -p "$build"; echo "CMAKE_HOME_DIRECTORY:INTERNAL=$WORK/clone" >"$build/CMakeCache.txt"; : >"$build/build.ninja"; exit 0; }
if [[ " $* " == *' -n '* ]]; then for ((i = 1; i <= STEPS; ++i)); do echo "[$i/$STEPS] step"; done; exit 0; fi
echo '[1/2] Building one.cpp'
for ((i = 0; i < 100; ++i)); do [[ ! -e $WORK/seen ]] || break; sleep 0.1; done
echo '[2/2] Linking'
exit "${CODE:-0}"
EOF
chmod +x "$work/bin/cmake"
export WORK=$work PATH=$work/bin:$PATH BNTRAIN_BUILD_REPORT_SECONDS=0.1
fail() { printf '%s\n' "$1"; cat "$work/said"; exit 1; }
build() {
  rc=0
  rm -f "$work/seen"
  # The stand-in goes on once a line about its first step was seen.
  "$work/clone/scripts/build.sh" release bntrain_cli 2>&1 | while IFS= read -r line; do
    printf '%s\n' "$line"
    [[ $line != *'[1/2] steps'* ]] || : >"$work/seen"
  done >"$work/said" || rc=$?
}
said() { grep -qF -- "$1" "$work/said" || fail "does not say: $1"; }

STEPS=150 build
[[ $rc == 0 ]] || fail "exit code $rc"
said 'configuring build/release'
said '150 steps, about'
said '[1/2] steps'
STEPS=0 build
[[ $rc == 0 && ! -s $work/said ]] || fail 'should be silent: there is nothing to build'
STEPS=2 CODE=1 build
[[ $rc == 1 ]] || fail "exit code $rc instead of 1"
said '[2/2] Linking'
