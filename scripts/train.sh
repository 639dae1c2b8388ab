#!/usr/bin/env bash
# Installs what is missing, builds, trains.
# usage: scripts/train.sh [ARGUMENT OF bntrain...]      e.g. scripts/train.sh --epochs 5 --lr 0.2
set -euo pipefail
root=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd -P)
"$root/scripts/setup.sh"
"$root/scripts/build.sh" release bntrain_cli
exec "$root/build/release/bntrain" "$@"
