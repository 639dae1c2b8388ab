#!/usr/bin/env bash
# Installs what is missing, builds, trains.
# usage: scripts/train.sh [ARGUMENT OF bntrain...]      e.g. scripts/train.sh --epochs 5 --lr 0.2
#        scripts/train.sh help train                    lists the flags of a command, once it is built
set -euo pipefail
[[ ${1-} != @(-h|--help) ]] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0; }
here=${BASH_SOURCE[0]%"${BASH_SOURCE[0]##*/}"}
root=$(cd "${here:-.}/.." && pwd -P)
"$root/scripts/setup.sh"
"$root/scripts/build.sh" release bntrain_cli
exec "$root/build/release/bntrain" "$@"
