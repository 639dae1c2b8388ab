#!/usr/bin/env bash
# The report of the kernels as the build has them, and that it notices what it is for.
# usage: kernel_report_test.sh KERNEL_REPORT OBJECT...
set -euo pipefail
report=$1
shift
"$report" --objects "$@"

# A cuobjdump that shows a kernel with a stack frame, or the instruction.
fake=$(mktemp -d)
trap 'rm -rf "$fake"' EXIT
printf '#!/bin/sh\nexit 0\n' >"$fake/nvdisasm"
expect_refused() {  # STACK SASS: what cuobjdump shows
  cat >"$fake/cuobjdump" <<END
#!/bin/sh
if [ "\$1" = -sass ]; then echo '$2'; else printf 'arch = sm_90\n Function f:\n  REG:8 STACK:$1 SHARED:0\n'; fi
END
  chmod +x "$fake"/*
  if CUDACXX=$fake/nvcc "$report" --objects some.cu.o >"$fake/out" 2>&1; then
    printf 'kernel_report took this: STACK:%s %s\n' "$1" "$2" >&2
    exit 1
  fi
}
printf '#!/bin/sh\n' >"$fake/nvcc"
chmod +x "$fake/nvcc"
expect_refused 8 ''
expect_refused 0 '@P0 LDGSTS.E.BYPASS.LTC128B.128 [R21+UR0], desc[UR1][R16.64] ;'
