#!/usr/bin/env bash
# Train on a Slurm cluster:
#   bash tools/slurm_train.sh PARTITION JOB CONFIG WORK_DIR [arguments]
# Set GPUS, GPUS_PER_NODE, CPUS_PER_TASK and SRUN_ARGS for the allocation.
source "$(dirname "$0")/launch.sh"
need_arguments 4 $#
launch_on_slurm "$1" "$2" train.py "$3" --work-dir "$4" "${@:5}"
