#!/usr/bin/env bash
# The kernels' object files must not define weak symbols. An inline function that the compiler did not inline is
# one: every object file brings a copy and the linker keeps any, so baseline code could end up calling the copy
# compiled for AVX-512 and die with SIGILL on an older processor.
# DW.ref.* are pointers for exception handling, data without instructions.
# usage: weak_symbols_test.sh NM OBJECT...
set -euo pipefail
nm=$1
shift
symbols=$("$nm" --defined-only --print-file-name "${@:?no object files}")
[[ -n $symbols ]] || { echo "no symbols at all"; exit 1; }
if weak=$(grep -E ' [WVu] ' <<<"$symbols" | grep -v ' DW\.ref\.' | c++filt); then
  printf 'weak symbols (make them static, put them into an unnamed namespace or force the inlining):\n%s\n' "$weak"
  exit 1
fi
