#!/usr/bin/env bash
# bntrain_conv_bench where it has no GPU (a machine's own is hidden), and with options that make no sense.
# usage: conv_bench_test.sh PROGRAM
set -euo pipefail
program=$1
export CUDA_VISIBLE_DEVICES=
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

expect() {  # RC PATTERN ARGUMENT...: the exit code, what stderr must match, an empty stdout
  local rc=0
  "$program" "${@:3}" >"$work/out" 2>"$work/err" || rc=$?
  [[ $rc == "$1" && ! -s $work/out ]] && grep -qE -- "$2" "$work/err" && return
  printf 'exit code %s instead of %s with: %s\nor stderr lacks: %s\n' "$rc" "$1" "${*:3}" "$2"
  cat "$work/out" "$work/err"
  exit 1
}
expect 1 '^error: .*(NVIDIA driver|GPU)'
expect 2 '"256x1x28x28" is no convolution' --shapes 256x1x28x28
expect 2 '"2x3x9x8-4k4" is no convolution' --shapes 2x3x9x8-4k4
expect 2 'samples' --samples 0
