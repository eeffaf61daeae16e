#!/usr/bin/env bash
# Test on a Slurm cluster:
#   bash tools/slurm_test.sh PARTITION JOB CONFIG CHECKPOINT [arguments]
# Set GPUS, GPUS_PER_NODE, CPUS_PER_TASK and SRUN_ARGS for the allocation.
set -euo pipefail

if [ $# -lt 4 ]; then
    sed -n 's/^#   /usage: /p' "$0" >&2
    exit 2
fi
GPUS=${GPUS:-8}
PER_NODE=${GPUS_PER_NODE:-$((GPUS < 8 ? GPUS : 8))}

# shellcheck disable=SC2086  # SRUN_ARGS holds several arguments
exec srun --partition="$1" --job-name="$2" \
    --gres=gpu:"$PER_NODE" \
    --ntasks="$GPUS" \
    --ntasks-per-node="$PER_NODE" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
    "${PYTHON:-python}" -u "$(dirname "$0")/test.py" "$3" "$4" \
    --launcher slurm "${@:5}"
