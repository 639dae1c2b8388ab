#!/usr/bin/env bash
# scripts/setup.sh on machines that lack something, played by stand-ins for the tools that it asks. PATH holds
# nothing else, so that no real package manager can be reached.
# usage: setup_test.sh SETUP_SH
set -euo pipefail
unset CUDACXX
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/a clone/scripts" "$work/a clone/build/python/bin"
cp "$1" "${1%/*}/cuda_packages.txt" "$work/a clone/scripts"
list="$work/a clone/scripts/python_packages.txt" venv="$work/a clone/build/python"
echo 'onnx==1.23.2' >"$list"
cp "$list" "$venv/installed.txt"

new_machine() {  # NAME: a machine where everything is installed
  machine=$work/$1
  mkdir "$machine"
  ln -s /usr/bin/env "$machine/env"
  tool id 'echo 0'
  tool ldconfig ''
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
expect 1 'no apt-get' $'missing packages: g++ zlib1g-dev\n' 'apt-get update && apt-get install --no-install-recommends g++ zlib1g-dev '

new_machine user-without-sudo
lacks dataset-fashion-mnist
tool id 'echo 1000'
tool apt-get "echo run >'$machine/called'"
setup
expect 0 'neither root nor sudo' $'missing packages: dataset-fashion-mnist\n' 'scripts/fetch_data.sh fashion-mnist'
[[ ! -e $machine/called ]] || fail 'ran apt-get'
tool sudo 'exit 1'  # wants a password
setup
expect 0 'neither root nor sudo'
lacks dataset-fashion-mnist libonnx-dev
setup
expect 0 'without libonnx-dev: no ONNX files'
lacks protobuf-compiler
setup
expect 0 'without protobuf-compiler: no --tensorboard'
lacks libonnx-dev g++
setup
expect 1 'apt-get update && apt-get install' 'libonnx-dev'

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
expect 2 'no option --reports; there are --tests, --report and --cuda'

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
expect 0 'no module named venv' 'interop.* are skipped'  # all other tests do without
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

# --cuda: pip is played by a program that unpacks what NVIDIA's packages hold, and counts its calls.
toolkit="$work/a clone/build/cuda-toolkit"
pip='[[ $2 == pip ]] || exit 1
  [[ $3 != --version ]] || exit 0
  printf "%s\n" "$*" >>"$CALLS"
  while [[ $1 != --target ]]; do shift; done
  mkdir -p "$2"/nvidia/{cu13/{bin,include,lib},cudnn/{include,lib}} "$2/nvidia_cublas-13.dist-info"
  : >"$2/nvidia/cu13/bin/nvcc"
  : >"$2/nvidia/cu13/lib/libcublasLt.so.13"
  : >"$2/nvidia/cudnn/include/cudnn_version.h"
  : >"$2/nvidia/cudnn/lib/libcudnn.so.9"'
new_machine_with_pip() {
  new_machine "$1"
  ln -s /usr/bin/{mkdir,mv,rm,ln,cp} "$machine"
  tool python3 "CALLS='$machine/called'
  $pip"
}

new_machine_with_pip fetches-cuda
setup --cuda
expect 0 "fetching NVIDIA's compiler and libraries into build/cuda-toolkit"
for file in bin/nvcc include/cudnn_version.h lib64/libcudnn.so lib/libcudnn.so.9 lib/libcublasLt.so licenses; do
  [[ -e $toolkit/$file ]] || fail "lacks $file"
done
[[ $(<"$machine/called") == *"-r $work/a clone/scripts/cuda_packages.txt" ]] || fail 'wrong call of pip'
setup --cuda
expect 0
[[ -z $said && $(grep -c . "$machine/called") == 1 ]] || fail 'should fetch once, and be silent then'
echo '# another version' >>"$work/a clone/scripts/cuda_packages.txt"
setup --cuda
expect 0 'fetching'
[[ $(grep -c . "$machine/called") == 2 ]] || fail 'should fetch what has changed'

new_machine_with_pip pip-fails
tool python3 '[[ $2 == pip ]] || exit 1
  [[ $3 != --version ]] || exit 0
  echo "ERROR: No matching distribution"; exit 1'
setup --cuda
expect 0
[[ -z $said ]] || fail 'should be silent: everything is there'
rm -r "$toolkit"
setup --cuda
expect 1 'ERROR: No matching distribution' 'pip failed' 'cuda_packages.txt'
[[ ! -e $toolkit ]] || fail 'should leave nothing that looks complete'

new_machine_with_pip without-pip
rm "$machine/python3"
lacks python3-pip
tool apt-get "echo \"\$*\" >>'$machine/called'"
setup --cuda
expect 1 'installing python3-pip' 'no python3 with pip'
rm "$machine/dpkg-query"
setup --cuda
expect 1 'no python3 with pip'

new_machine driver-without-nvcc
tool ldconfig 'echo "	libcuda.so.1 (libc6,x86-64) => /usr/lib/x86_64-linux-gnu/libcuda.so.1"'
setup
expect 0 'an NVIDIA driver but no nvcc in PATH' 'scripts/setup.sh --cuda'
[[ $(grep -c . <<<"$said") == 1 ]] || fail 'should be one line'
tool nvcc ''
setup
expect 0
[[ -z $said ]] || fail 'should be silent: there is nvcc'
