#!/usr/bin/env bash
# Run the tests on the maintained onedl-* stack and on the original one:
#   bash tools/dev/test_both_stacks.sh [arguments of pytest]
# Each has an environment of its own, made the first time (mmcv is compiled).
set -uo pipefail

ROOT=$(cd "$(dirname "$0")/../.." && pwd)
status=0
for stack in onedl openmmlab; do
    echo "== $stack"
    MMXDISTILL_STACK=$stack bash "$ROOT/tools/run_tests.sh" "$@" || status=1
done
exit $status
