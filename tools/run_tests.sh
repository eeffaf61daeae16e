#!/usr/bin/env bash
# Run the tests, setting up the environment first if need be:
#   bash tools/run_tests.sh [arguments of pytest]
# Tests on real data run if MMXDISTILL_DATA names its folder.
set -euo pipefail

# shellcheck source=tools/setup_env.sh
source "$(dirname "$0")/setup_env.sh"
cd "$ROOT"
exec "$PYTHON" -m pytest "$@"
