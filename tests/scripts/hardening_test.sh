#!/usr/bin/env bash
# What users get: hardened as Debian's programs are, and without a trace of the folder that it was built in.
# usage: hardening_test.sh SOURCE_DIR PROGRAM LIBRARY
set -euo pipefail
source=$1
fail() { printf '%s: %s\n' "$file" "$1"; exit 1; }
for file in "${@:2}"; do
  headers=$(readelf --wide --file-header --dynamic --program-headers "$file")
  symbols=$(readelf --wide --dyn-syms "$file")
  [[ $headers == *'Type: '*DYN* ]] || fail 'neither a position-independent program nor a library'
  [[ $headers == *GNU_RELRO* && $headers == *BIND_NOW* ]] || fail 'relocations stay writable'
  [[ $headers =~ GNU_STACK[^$'\n']*RW\  ]] || fail 'an executable stack'
  [[ $symbols == *__stack_chk_fail* ]] || fail 'no stack protector'
  [[ $symbols == *_chk@* ]] || fail 'no fortified function'
  ! grep -qF "$source/" "$file" || fail "names $source"
done
