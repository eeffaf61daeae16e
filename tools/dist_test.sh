#!/usr/bin/env bash
# Test with several processes on one or more machines:
#   bash tools/dist_test.sh CONFIG CHECKPOINT NPROC [arguments of test.py]
# NPROC is the number of processes (GPUs) on this machine. With several
# machines, set NNODES, NODE_RANK, MASTER_ADDR and PORT on each. The backend
# comes from env_cfg.dist_cfg of the config; without a GPU it is gloo.
set -euo pipefail

if [ $# -lt 3 ]; then
    sed -n 's/^#   /usage: /p' "$0" >&2
    exit 2
fi
CONFIG=$1
CHECKPOINT=$2
NPROC=$3
if [ "${NNODES:-1}" = 1 ] && [ -z "${PORT:-}" ]; then
    RENDEZVOUS=(--standalone)  # takes a free port
else
    RENDEZVOUS=(
        --nnodes="${NNODES:-1}"
        --node_rank="${NODE_RANK:-0}"
        --master_addr="${MASTER_ADDR:-127.0.0.1}"
        --master_port="${PORT:-29500}"
    )
fi

# torch.distributed.run is torchrun, of the active interpreter.
exec "${PYTHON:-python}" -m torch.distributed.run "${RENDEZVOUS[@]}" \
    --nproc_per_node="$NPROC" \
    "$(dirname "$0")/test.py" "$CONFIG" "$CHECKPOINT" \
    --launcher pytorch "${@:4}"
