#!/usr/bin/env bash
# Fails when a file includes one of a room that its own room may not know. The rooms are the folders of src/, with
# kernels/ and the public headers, and the arrow between them is the table below.
# usage: scripts/check_includes.sh [ROOT]      ROOT: another tree than this one
set -euo pipefail
[[ ${1-} != @(-h|--help) ]] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0; }
root=${1:-$(cd "${BASH_SOURCE[0]%/*}/.." && pwd -P)}
cd "$root"

# room: what it may include besides itself
arrow='
kernel_interface:
core:             kernel_interface
data:             core
layers:           core kernel_interface
optimizers:       core kernel_interface
network:          layers core
plan:             network layers optimizers core kernel_interface
backend:          plan network layers optimizers core kernel_interface
backend/cuda:     backend plan network layers optimizers core kernel_interface kernels
formats:          network layers core
train:            formats backend plan network layers optimizers data core kernel_interface
bench:            train formats backend network layers optimizers data core
report:           train formats network layers core kernel_interface
cli:              report bench train formats backend plan network layers optimizers data core
main:             cli core
kernels:          kernel_interface
'

# Two headers that both sets of kernels know, and where the public headers belong.
public='
activation kernel_interface   optimizer kernel_interface
error core   tensor core   metrics core
network layers   dataset data   backend backend   batch_norm backend
model_file formats   train train   evaluate train
'

list_includes() {  # FILE:INCLUDED of every quoted include
  grep -rHoE --include='*.hpp' --include='*.cpp' --include='*.cu' --include='*.cuh' \
    '^#include "[^"]+"' src include kernels | sed -E 's/:#include "/ /; s/"$//'
}

list_includes | awk -v arrow="$arrow" -v public="$public" '
  function room_of(path,   parts) {
    if (path ~ /^(include\/)?bntrain\//) {
      sub(/^(include\/)?bntrain\//, "", path); sub(/\.hpp$/, "", path)
      return path in room_of_public ? room_of_public[path] : "unknown public header " path
    }
    if (path ~ /^kernels\//) return "kernels"
    sub(/^src\//, "", path)
    if (path ~ /^backend\/cuda\//) return "backend/cuda"
    if (path !~ /\//) return path == "main.cpp" ? "main" : ""
    split(path, parts, "/")
    return parts[1]
  }
  BEGIN {
    n = split(arrow, lines, "\n")
    for (i = 1; i <= n; ++i) {
      if (split(lines[i], sides, ":") < 2) continue
      allowed[sides[1], sides[1]] = 1
      known[sides[1]] = 1
      m = split(sides[2], rooms, " ")
      for (j = 1; j <= m; ++j) allowed[sides[1], rooms[j]] = 1
    }
    n = split(public, words, /[ \n]+/)
    for (i = 2; i < n; i += 2) room_of_public[words[i]] = words[i + 1]
  }
  {
    from = room_of($1); to = room_of($2)
    if (from == "kernels" && $2 !~ /^bntrain\//) to = "kernels"  # they include each other by short names
    if (to == "") to = from
    ++count
    if (!(from in known) || !((from, to) in allowed)) {
      printf "%s includes %s: %s may not know %s\n", $1, $2, from, to
      wrong = 1
    }
  }
  END {
    if (count < 100) { print "only " count " includes were found"; wrong = 1 }
    exit wrong
  }
'
