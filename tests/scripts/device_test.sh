#!/usr/bin/env bash
# How the installed program chooses its device, and what it says where the GPU cannot be had: no driver, a driver
# without a GPU, the CUDA module missing, of another version, no module at all, or in want of a library. An empty
# library in LD_LIBRARY_PATH plays the driver, so that a machine's own is not asked.
# usage: device_test.sh CMAKE BUILD_DIR CXX [MODULE_DIR]    MODULE_DIR: where the build installs the CUDA module; none
#                                                           where it has none
set -euo pipefail
cmake=$1 build=$2 cxx=$3 module_dir=${4-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset "${!BNTRAIN_@}"

"$cmake" --install "$build" --prefix "$work/installed" >"$work/install.log"
mv "$work/installed" "$work/moved here"
bin="$work/moved here/bin"
driver="$work/driver"
mkdir "$driver"
"$cxx" -shared -x c++ /dev/null -o "$driver/libcuda.so.1"

scenario() { now=$1; }
bntrain() { rc=0; "$bin/bntrain" "$@" >"$work/out" 2>"$work/err" || rc=$?; }
with_driver() { LD_LIBRARY_PATH=$driver bntrain "$@"; }
train=(--data synthetic:shape=1x8x8,train=64,test=32 --network 'conv4x3,bn,relu,fc10' --batch-size 32 --epochs 1)
fail() {
  printf '%s: %s\n-- exit code %s, stdout:\n' "$now" "$1" "$rc"
  cat "$work/out"
  printf -- '-- stderr:\n'
  cat "$work/err"
  exit 1
}
expect() {  # RC: the exit code; PATTERN...: fixed strings that the error stream must contain
  [[ $rc == "$1" ]] || fail "exit code $rc instead of $1"
  local pattern
  for pattern in "${@:2}"; do grep -qF -- "$pattern" "$work/err" || fail "stderr lacks: $pattern"; done
}
expect_once() { [[ $(grep -cF -- "$1" "$work/err") == 1 ]] || fail "stderr does not say once: $1"; }
expect_trained() { grep -q '^Epoch 0\. Loss: ' "$work/out" || fail "nothing was trained"; }
expect_info() { grep -qF -- "$1" "$work/out" || fail "info lacks: $1"; }

# The GPU cannot be had for REASON: cuda fails, auto trains on the CPU and says so once, info shows it.
refused() {  # DRIVER REASON...: DRIVER is bntrain or with_driver
  local run=$1 reason
  "$run" "${train[@]}" --device cuda
  expect 1 "error: --device: 'cuda' cannot be used: " '; use cpu or auto' "${@:2}"
  "$run" "${train[@]}" --device cuda:1
  expect 1 "error: --device: 'cuda:1' cannot be used: " '; use cpu or auto' "${@:2}"
  "$run" "${train[@]}" --device check
  expect 1 "error: --device: 'check' cannot be used: " '; use cpu or auto' "${@:2}"
  "$run" "${train[@]}"
  expect 0 "${@:2}"
  expect_trained
  expect_once 'using the CPU: '
  "$run" "${train[@]}" --precision tf32
  expect 0
  expect_once 'using the CPU in fp32: '
  "$run" info
  expect 0
  for reason in "${@:2}"; do expect_info "$reason"; done
}

scenario 'the CPU is asked for'
bntrain "${train[@]}" --device cpu
expect 0
expect_trained
! grep -q 'using the CPU' "$work/err" || fail 'a note that nobody needs'

if [[ -z $module_dir ]]; then
  scenario 'built without CUDA'
  refused bntrain 'this bntrain was built without CUDA'
  exit 0
fi

module=$(find "$work/moved here" -name libbntrain_cuda.so)
[[ -n $module ]] || { now=install; rc=0; fail 'the module was not installed'; }
library_dir=$(dirname "$(find "$work/moved here" -name 'libbntrain.so.*' -type l)")

# A library that claims to be of VERSION.
fake_module() {  # VERSION FILE
  "$cxx" -shared -fPIC -x c++ - -o "$2" <<<"
    struct Module { const char* version; };
    extern \"C\" const Module* bntrain_cuda_module() { static const Module m{\"$1\"}; return &m; }"
}

scenario 'no driver'
if ldconfig -p 2>/dev/null | grep -q 'libcuda\.so\.1'; then
  echo 'skipped: a machine without a driver, because this one has one'
else
  refused bntrain 'this machine has no NVIDIA driver: libcuda.so.1'
fi

scenario 'a driver that shows no GPU'
refused with_driver 'NVIDIA driver'
with_driver info
for fact in "cuda-module        $module" 'cuda-runtime       ' 'cuda-driver        ' 'cudnn              ' \
  'cublaslt           ' 'cuda-architectures ' 'cuda-devices       none: '; do
  expect_info "$fact"
done
with_driver info --json
python3 -c '
import json, sys
facts = json.load(open(sys.argv[1]))
assert facts["cuda"].startswith("not available: "), facts["cuda"]
assert facts["cuda-module"] == sys.argv[2], facts["cuda-module"]
for name in ("cuda-runtime", "cudnn", "cublaslt"):
    assert facts[name][0].isdigit() and "." in facts[name], name
for name in ("cuda-driver", "cuda-architectures", "cuda-devices"):
    assert facts[name], name
' "$work/out" "$module" || fail 'info --json'

scenario 'the library is used by a program that lies elsewhere'
mkdir "$work/elsewhere"
cp "$bin/bntrain" "$work/elsewhere"
rc=0
LD_LIBRARY_PATH=$library_dir:$driver "$work/elsewhere/bntrain" info >"$work/out" 2>"$work/err" || rc=$?
expect_info "cuda-module        $module"

# From here on the installed module is gone, and something else may be in its place.
mv "$module" "$work/module"

scenario 'the module is missing'
if [[ -e $module_dir/libbntrain_cuda.so ]]; then
  echo "skipped: a missing module, because $module_dir has one"
else
  refused with_driver 'the CUDA module is neither in ' "$library_dir" "$library_dir/bntrain" "$bin" "$module_dir" \
    'libbntrain_cuda.so: cannot open shared object file'
  with_driver info
  expect_info 'cuda-module        none: '
  fake_module 0.0.0-by-name "$driver/libbntrain_cuda.so"
  refused with_driver 'libbntrain_cuda.so is of bntrain 0.0.0-by-name, and this is '
  rm "$driver/libbntrain_cuda.so"
fi

scenario 'the module is of another version'
for folder in "$library_dir" "$library_dir/bntrain" "$bin"; do
  fake_module 0.0.0-other "$folder/libbntrain_cuda.so"
  refused with_driver "$folder/libbntrain_cuda.so is of bntrain 0.0.0-other, and this is "
  rm "$folder/libbntrain_cuda.so"
done

scenario 'the file is no module'
cp "$driver/libcuda.so.1" "$module"
refused with_driver "$module is no CUDA module of bntrain: "

scenario 'the file is no library'
echo 'not a library' >"$module"
refused with_driver "$module cannot be loaded: "

scenario 'a library that the module needs is missing'
for library in cudnn cublasLt; do
  # A name of the same length, so that nothing else in the file moves.
  sed "s/lib$library\.so\./lib${library%?}_.so./g" "$work/module" >"$module"
  refused with_driver "$module cannot be loaded: lib${library%?}_.so."
done

scenario 'the module is back'
mv "$work/module" "$module"
with_driver info
expect_info "cuda-module        $module"
