#!/usr/bin/env bash
# scripts/setup.sh on machines that lack something, played by stand-ins for the tools that it asks. PATH holds
# nothing else, so that no real package manager can be reached.
# usage: setup_test.sh SETUP_SH
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/a clone/scripts" "$work/a clone/build/python/bin"
cp "$1" "$work/a clone/scripts"
list="$work/a clone/scripts/python_packages.txt" venv="$work/a clone/build/python"
echo 'onnx==1.23.2' >"$list"
cp "$list" "$venv/installed.txt"

new_machine() {  # NAME: a machine where everything is installed
  machine=$work/$1
  mkdir "$machine"
  ln -s /usr/bin/env "$machine/env"
  tool id 'echo 0'
  tool dpkg-query 'for name in "${@:4}"; do printf "%s=installed " "$name"; done'
}
tool() { printf '#!%s\n%s\n' "$BASH" "$2" >"$machine/$1" && chmod +x "$machine/$1"; }
lacks() {  # PACKAGE...: as dpkg-query reports a package that it does not know, and one that was removed
  tool dpkg-query "for name in \"\${@:4}\"; do case \$name in
    $1) ;; ${2-none}) printf '%s=not-installed ' \"\$name\" ;; *) printf '%s=installed ' \"\$name\" ;; esac; done
    exit 1"
}
setup() {
  rc=0
  said=$(PATH=$machine PYTHON3=$machine/python3 "$BASH" "$work/a clone/scripts/setup.sh" "$@" 2>&1) || rc=$?
}
expect() {  # RC PATTERN...: the exit code, and what the output must contain
  local pattern
  [[ $rc == "$1" ]] || fail "exit code $rc instead of $1"
  for pattern in "${@:2}"; do [[ $said == *"$pattern"* ]] || fail "does not say: $pattern"; done
}
fail() { printf '%s: %s\n%s\n' "${machine##*/}" "$1" "$said"; exit 1; }

new_machine complete
setup --tests
expect 0
[[ -z $said ]] || fail 'should be silent'

new_machine without-apt
lacks g++ zlib1g-dev
setup
expect 1 'no apt-get' $'missing packages: g++ zlib1g-dev\n' 'apt-get install --no-install-recommends g++ zlib1g-dev '

new_machine user-without-sudo
lacks dataset-fashion-mnist
tool id 'echo 1000'
tool apt-get "echo run >'$machine/called'"
setup
expect 1 'neither root nor sudo' $'missing packages: dataset-fashion-mnist\n'
[[ ! -e $machine/called ]] || fail 'ran apt-get'
tool sudo 'exit 1'  # wants a password
setup
expect 1 'neither root nor sudo'

new_machine user-with-sudo
lacks cmake
tool id 'echo 1000'
tool sudo 'shift; [[ $1 == true ]] || "$@"'
tool apt-get "echo \"\$*\" >>'$machine/called'"
setup
expect 0 'installing cmake'
[[ $(<"$machine/called") == *' update'*'install -y --no-install-recommends cmake' ]] || fail 'wrong call of apt-get'

new_machine root
lacks libgtest-dev
tool apt-get "echo \"\$*\" >>'$machine/called'"
setup
expect 0  # only the tests need it
setup --tests
expect 0 'installing libgtest-dev'
[[ $(<"$machine/called") == *'install -y --no-install-recommends libgtest-dev' ]] || fail 'wrong call of apt-get'

new_machine without-matplotlib
lacks python3-matplotlib
tool apt-get "echo \"\$*\" >>'$machine/called'"
setup
expect 0
[[ ! -e $machine/called ]] || fail 'a build needs no matplotlib'
setup --report
expect 0 'installing python3-matplotlib'
[[ $(<"$machine/called") == *'install -y --no-install-recommends python3-matplotlib' ]] || fail 'wrong call of apt-get'
setup --report --tests cmake
expect 0 'installing python3-matplotlib'
setup --reports
expect 2 'no option --reports; there are --tests and --report'

new_machine apt-fails
lacks cmake
tool apt-get 'echo E: no such package; exit 100'
setup
expect 1 'E: no such package' 'apt-get failed' $'missing packages: cmake\n'

new_machine outdated-python-packages
echo 'onnx==1.0' >"$venv/installed.txt"
tool python3 "echo \"\$*\" >'$machine/called'"
printf '#!%s\necho "$*" >>"%s"\n' "$BASH" "$machine/called" >"$venv/bin/python" && chmod +x "$venv/bin/python"
setup  # only the tests need them
expect 0
setup --tests
expect 0 'making build/python'
called=$(<"$machine/called")
[[ $called == *"venv --clear --system-site-packages $venv"*"pip install"*"--no-deps"*"$list" ]] || fail "wrong calls: $called"
setup --tests
expect 0
[[ -z $said ]] || fail 'should be silent once they are there'

new_machine python-packages-fail
rm "$venv/installed.txt"
tool python3 'echo no module named venv; exit 1'
setup --tests
expect 1 'no module named venv' 'interop'
[[ ! -e $venv/installed.txt ]] || fail 'thinks that they are there'

new_machine no-debian
rm "$machine/dpkg-query"
setup
expect 0 'cmake ninja-build g++ '
mkdir -p "$work/a clone/build/release"
: >"$work/a clone/build/release/build.ninja"
setup
expect 0
[[ -z $said ]] || fail 'should be silent once it is configured'
