#!/usr/bin/env bash
# Show the whole method on synthetic RGB-D scenes, setting up the environment
# first if need be:
#   bash tools/quickstart.sh [arguments of quickstart.py]
set -euo pipefail

# shellcheck source=tools/setup_env.sh
source "$(dirname "$0")/setup_env.sh"
cd "$ROOT"
exec "$PYTHON" tools/quickstart.py "$@"
