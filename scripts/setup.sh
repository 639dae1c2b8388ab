#!/usr/bin/env bash
# Installs the Debian packages that are missing: those of the build and the data set, with --tests also those of
# the tests, with --report those that draw the report of a bench, and any PACKAGE named. With --cuda puts NVIDIA's
# compiler and libraries (cuda_packages.txt) into build/cuda-toolkit, where the build finds them. --tests also makes the
# Python environment build/python of python_packages.txt, which sees Debian's packages too (PYTHON3 names another Python
# than Debian's). Says nothing when nothing is missing.
# usage: scripts/setup.sh [--tests] [--report] [--cuda] [PACKAGE...]
set -euo pipefail
[[ ${1-} != @(-h|--help) ]] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0; }
here=${BASH_SOURCE[0]%"${BASH_SOURCE[0]##*/}"}
root=$(cd "${here:-.}/.." && pwd -P)

packages=(cmake ninja-build g++ libcli11-dev libtomlplusplus-dev libspdlog-dev nlohmann-json3-dev zlib1g-dev libssl-dev
          libpng-dev libjpeg62-turbo-dev libonnx-dev libprotobuf-dev protobuf-compiler libjs-chart.js dataset-fashion-mnist)
# What the program is built and trains without, and what is missing then.
declare -A optional=([libonnx-dev]='no ONNX files' [libprotobuf-dev]='no ONNX files, no --tensorboard'
  [protobuf-compiler]='no --tensorboard' [libjs-chart.js]='reports of tables without charts'
  [dataset-fashion-mnist]='scripts/fetch_data.sh fashion-mnist fetches the data set')
cuda=no tests=no
while [[ ${1-} == --* ]]; do
  case $1 in
    --tests) tests=yes
             packages+=(libgtest-dev libgmock-dev python3-torch python3-numpy python3-venv libopenblas0-pthread
                        python3-matplotlib chromium curl) ;;
    --report) packages+=(python3-matplotlib) ;;
    --cuda) cuda=yes ;;
    *) printf 'setup: no option %s; there are --tests, --report and --cuda\n' "$1" >&2; exit 2 ;;
  esac
  shift
done
packages+=("$@")

say() { printf 'setup: %s\n' "$@" >&2; }

toolkit=$root/build/cuda-toolkit
pins=$root/scripts/cuda_packages.txt
have_toolkit() { [[ -e $toolkit/packages.txt && $(<"$toolkit/packages.txt") == "$(<"$pins")" ]]; }
have_pip() { python3 -m pip --version >/dev/null 2>&1; }
have_driver() {
  local ldconfig  # not in every user's PATH
  ldconfig=$(type -P ldconfig) || ldconfig=/sbin/ldconfig
  [[ $("$ldconfig" -p 2>/dev/null) == *libcuda.so.1* ]]
}

# As a toolkit that was installed: bin, include, lib, nvvm in one folder, libraries under the names that linkers want.
fetch_toolkit() {
  have_pip || { say "there is no python3 with pip, which --cuda fetches with"; exit 1; }
  say "fetching NVIDIA's compiler and libraries into build/cuda-toolkit (1 GB, unpacked 1.5 GB)"
  local new=$toolkit.new log library
  rm -rf "$new"
  mkdir -p "$new"
  # Root has no other user to leave this to: the folder is the project's.
  if ! log=$(PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --no-deps \
    --only-binary :all: --target "$new/packages" -r "$pins" 2>&1); then
    printf '%s\n' "$log" >&2
    say "pip failed; the packages that it was asked for stand in scripts/cuda_packages.txt"
    exit 1
  fi
  mv "$new/packages/nvidia/cu13" "$new/toolkit"
  mv "$new"/packages/nvidia/cudnn/include/* "$new/toolkit/include"
  mv "$new"/packages/nvidia/cudnn/lib/* "$new/toolkit/lib"
  mkdir "$new/toolkit/licenses"
  mv "$new"/packages/*.dist-info "$new/toolkit/licenses"
  for library in "$new"/toolkit/lib/lib*.so.*; do
    library=${library##*/}
    ln -sf "$library" "$new/toolkit/lib/${library%%.so.*}.so"
  done
  ln -s lib "$new/toolkit/lib64"
  cp "$pins" "$new/toolkit/packages.txt"
  rm -rf "$toolkit"
  mv "$new/toolkit" "$toolkit"
  rm -rf "$new"
}

# Known by the list that it was made of, so that an interrupted or outdated one is made again.
make_python() {
  local venv=$root/build/python list=$root/scripts/python_packages.txt log
  [[ ! -e $venv/installed.txt || $(<"$list") != "$(<"$venv/installed.txt")" ]] || return 0
  say "making build/python for the tests"
  if ! log=$("${PYTHON3:-/usr/bin/python3}" -m venv --clear --system-site-packages "$venv" 2>&1 &&
             "$venv/bin/python" -m pip install --quiet --no-deps --requirement "$list" 2>&1); then
    printf '%s\n' "$log" >&2
    say "the Python packages of scripts/python_packages.txt could not be installed, so the tests interop.* are skipped"
    return 0
  fi
  printf '%s\n' "$(<"$list")" >"$venv/installed.txt"
}

finish() {
  [[ $tests == no ]] || make_python
  if [[ $cuda == yes ]]; then
    have_toolkit || fetch_toolkit
  elif [[ ! -e $toolkit/bin/nvcc && -z ${CUDACXX-} ]] && ! type -P nvcc >/dev/null && have_driver; then
    say "this machine has an NVIDIA driver but no nvcc in PATH, so GPUs are left alone; scripts/setup.sh --cuda fetches it"
  fi
  exit 0
}

if ! type -P dpkg-query >/dev/null; then
  # Not a Debian: the names are a hint, CMake decides. Said before the first configuration only.
  tests=no
  [[ -e $root/build/release/build.ninja ]] || say "please provide what these Debian packages hold: ${packages[*]}"
  finish
fi
if [[ $cuda == yes ]] && ! have_toolkit && ! have_pip; then packages+=(python3-pip); fi

# dpkg-query fails for names that it does not know; those are just missing here.
installed=" $(dpkg-query -W -f '${Package}=${db:Status-Status} ' "${packages[@]}" 2>/dev/null || true)"
missing=()
for package in "${packages[@]}"; do
  [[ $installed == *" $package=installed "* ]] || missing+=("$package")
done
((${#missing[@]})) || finish

# Ends with 1 unless what is missing can be done without.
give_up() {
  say "$1" "missing packages: ${missing[*]}" \
    "install them with: apt-get update && apt-get install --no-install-recommends ${missing[*]}   (as root)"
  local package
  for package in "${missing[@]}"; do
    [[ -z ${optional[$package]-} ]] || say "without $package: ${optional[$package]}"
  done
  for package in "${missing[@]}"; do [[ -n ${optional[$package]-} ]] || exit 1; done
  finish
}

type -P apt-get >/dev/null || give_up "there is no apt-get here"
as_root=(env)
if [[ $(id -u) != 0 ]]; then
  sudo -n true 2>/dev/null || give_up "neither root nor sudo without a password"
  as_root=(sudo -n env)
fi

say "installing ${missing[*]}"
apt_get() { "${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" 2>&1; }
# The lists may be absent (a fresh container) or old; where they cannot be fetched the install may still succeed.
if ! log=$(apt_get update || true; apt_get install -y --no-install-recommends "${missing[@]}"); then
  printf '%s\n' "$log" >&2
  give_up "apt-get failed"
fi
finish
