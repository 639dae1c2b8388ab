#!/usr/bin/env bash
# Every script answers --help with its usage and does nothing else: on a machine with nothing installed, in an empty
# folder, and wherever it is called from.
# usage: help_test.sh ROOT
set -euo pipefail
root=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin" "$work/empty"
ln -s /usr/bin/{env,bash,sed,python3,rm} "$work/bin"
export PATH=$work/bin HOME=$work/empty
cd "$work/empty"
for script in "$root"/scripts/*.sh "$root"/scripts/*.py "$root/.ci/run"; do
  for flag in --help -h; do
    command=("$script")
    # -S: without Debian's packages, so that what a script imports is missing.
    [[ $script != *.py ]] || command=(python3 -B -S "$script")
    said=$("${command[@]}" $flag 2>&1) || { printf '%s %s fails:\n%s\n' "$script" $flag "$said"; exit 1; }
    name=${script##*/}
    [[ ${said,,} == *usage:* || $said == *"$name"* ]] || { printf '%s %s: no usage:\n%s\n' "$script" $flag "$said"; exit 1; }
  done
done
left=("$work/empty"/*)
[[ ! -e ${left[0]} ]] || { printf 'left behind: %s\n' "${left[@]}"; exit 1; }
# Called by its bare name in its own folder, a script finds its place too.
cd "$root/scripts"
said=$(bash check_includes.sh --help)
