#!/usr/bin/env bash
# Run the tests, setting up the environment first if need be:
#   bash tools/run_tests.sh [arguments of pytest]
# Tests on real data run if MMXDISTILL_DATA names its folder. With pytest-xdist
# there is a process per core; -n 0 keeps all tests in one.
set -euo pipefail

# shellcheck source=tools/setup_env.sh
source "$(dirname "$0")/setup_env.sh"
cd "$ROOT"
PARALLEL=()
if "$PYTHON" -c 'import xdist' 2>/dev/null; then
    # A file stays together, since its tests share what they build.
    PARALLEL=(-n "$(getconf _NPROCESSORS_ONLN)" --dist loadfile)
fi
exec "$PYTHON" -m pytest ${PARALLEL[@]+"${PARALLEL[@]}"} "$@"
