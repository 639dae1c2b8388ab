#!/usr/bin/env bash
# Installs the Debian packages that are missing: those of the build and the data set, with --tests also those of
# the tests, with --report those that draw the report of a bench, and any PACKAGE named. --tests also makes the Python
# environment build/python of python_packages.txt, which sees Debian's packages too (PYTHON3 names another Python than
# Debian's). Says nothing when nothing is missing.
# usage: scripts/setup.sh [--tests] [--report] [PACKAGE...]
set -euo pipefail
root=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd -P)

packages=(cmake ninja-build g++ libcli11-dev libspdlog-dev nlohmann-json3-dev zlib1g-dev libssl-dev libpng-dev
          libturbojpeg0-dev libonnx-dev libprotobuf-dev dataset-fashion-mnist)
tests=
while [[ ${1-} == --* ]]; do
  case $1 in
    --tests) tests=yes
             packages+=(libgtest-dev libgmock-dev python3-torch python3-numpy python3-venv libopenblas0-pthread curl
                        python3-matplotlib chromium) ;;
    --report) packages+=(python3-matplotlib) ;;
    *) printf 'setup: no option %s; there are --tests and --report\n' "$1" >&2; exit 2 ;;
  esac
  shift
done
packages+=("$@")

say() { printf 'setup: %s\n' "$@" >&2; }

if ! type -P dpkg-query >/dev/null; then
  # Not a Debian: the names are a hint, CMake decides. Said before the first configuration only.
  [[ -e $root/build/release/build.ninja ]] || say "please provide what these Debian packages hold: ${packages[*]}"
  exit 0
fi

# dpkg-query fails for names that it does not know; those are just missing here.
installed=" $(dpkg-query -W -f '${Package}=${db:Status-Status} ' "${packages[@]}" 2>/dev/null || true)"
missing=()
for package in "${packages[@]}"; do
  [[ $installed == *" $package=installed "* ]] || missing+=("$package")
done

give_up() {
  say "$1" "missing packages: ${missing[*]}" \
    "install them with: apt-get install --no-install-recommends ${missing[*]}   (as root)" \
    "or build with what there is: cmake --preset release -DBNTRAIN_TESTS=OFF && cmake --build build/release"
  exit 1
}

install_packages() {
  type -P apt-get >/dev/null || give_up "there is no apt-get here"
  as_root=(env)
  if [[ $(id -u) != 0 ]]; then
    sudo -n true 2>/dev/null || give_up "neither root nor sudo without a password"
    as_root=(sudo -n env)
  fi

  say "installing ${missing[*]}"
  apt_get() { "${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" 2>&1; }
  # The lists may be absent (a fresh container) or old; where they cannot be fetched the install may still succeed.
  local log
  if ! log=$(apt_get update || true; apt_get install -y --no-install-recommends "${missing[@]}"); then
    printf '%s\n' "$log" >&2
    give_up "apt-get failed"
  fi
}

# Known by the list that it was made of, so that an interrupted or outdated one is made again.
install_python_packages() {
  local venv=$root/build/python list=$root/scripts/python_packages.txt log
  [[ ! -e $venv/installed.txt || $(<"$list") != "$(<"$venv/installed.txt")" ]] || return 0
  say "making build/python for the tests"
  if ! log=$("${PYTHON3:-/usr/bin/python3}" -m venv --clear --system-site-packages "$venv" 2>&1 &&
             "$venv/bin/python" -m pip install --quiet --no-deps --requirement "$list" 2>&1); then
    printf '%s\n' "$log" >&2
    say "the Python packages of scripts/python_packages.txt could not be installed; without them the tests" \
      "interop.* are skipped: ctest --test-dir build/release runs all others"
    exit 1
  fi
  printf '%s\n' "$(<"$list")" >"$venv/installed.txt"
}

((! ${#missing[@]})) || install_packages
[[ -z $tests ]] || install_python_packages
