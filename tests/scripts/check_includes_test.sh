#!/usr/bin/env bash
# The arrow between the rooms holds, and an include against it is noticed.
# usage: check_includes_test.sh SCRIPT
set -euo pipefail
script=$1
root=${script%/scripts/*}
"$script"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/scripts"
cp -r "$root/src" "$root/include" "$root/kernels" "$work"
expect_refusal() {  # FILE INCLUDED WORDS
  cp "$work/$1" "$work/kept"
  printf '#include "%s"\n' "$2" >>"$work/$1"
  if message=$("$script" "$work"); then
    printf 'an include of %s in %s was not noticed\n' "$2" "$1" >&2
    exit 1
  fi
  [[ $message == *"$1 includes $2: $3"* ]] || { printf 'unexpected: %s\n' "$message" >&2; exit 1; }
  mv "$work/kept" "$work/$1"
}
expect_refusal src/plan/plan.hpp backend/executable.hpp 'plan may not know backend'
expect_refusal src/core/random.cpp network/text.hpp 'core may not know network'
expect_refusal src/backend/cpu/executable.cpp bntrain/dataset.hpp 'backend may not know data'
expect_refusal src/train/trainer.cpp cli/flags/values.hpp 'train may not know cli'
expect_refusal src/backend/cpu/backend.cpp kernels/kernels.hpp 'backend may not know kernels'
expect_refusal kernels/kernels.hpp bntrain/network.hpp 'kernels may not know layers'
expect_refusal include/bntrain/network.hpp bntrain/backend.hpp 'layers may not know backend'
expect_refusal src/main.cpp bntrain/nothing.hpp 'main may not know unknown public header nothing'
"$script" "$work"
