# shellcheck shell=bash
# What dist_*.sh and slurm_*.sh share: starting a tool in several processes.
# Sourced by them; $0 is the script that was called.
set -euo pipefail

TOOLS=$(dirname "$0")

# Shows the usage line of the script unless it got enough arguments.
need_arguments() {  # WANTED GOT
    if [ "$2" -lt "$1" ]; then
        sed -n 's/^#   /usage: /p' "$0" >&2
        exit 2
    fi
}

# On this machine, or, with NNODES > 1, on this one of several machines.
launch_processes() {  # NPROC TOOL [arguments]
    local rendezvous
    if [ "${NNODES:-1}" = 1 ] && [ -z "${PORT:-}" ]; then
        rendezvous=(--standalone)  # takes a free port
    else
        rendezvous=(
            --nnodes="${NNODES:-1}"
            --node_rank="${NODE_RANK:-0}"
            --master_addr="${MASTER_ADDR:-127.0.0.1}"
            --master_port="${PORT:-29500}"
        )
    fi
    # torch.distributed.run is torchrun, of the active interpreter.
    exec "${PYTHON:-python}" -m torch.distributed.run "${rendezvous[@]}" \
        --nproc_per_node="$1" "$TOOLS/$2" "${@:3}" --launcher pytorch
}

launch_on_slurm() {  # PARTITION JOB TOOL [arguments]
    local gpus=${GPUS:-8}
    local per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
    # shellcheck disable=SC2086  # SRUN_ARGS holds several arguments
    exec srun --partition="$1" --job-name="$2" \
        --gres=gpu:"$per_node" \
        --ntasks="$gpus" \
        --ntasks-per-node="$per_node" \
        --cpus-per-task="${CPUS_PER_TASK:-5}" \
        --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
        "${PYTHON:-python}" -u "$TOOLS/$3" "${@:4}" --launcher slurm
}
