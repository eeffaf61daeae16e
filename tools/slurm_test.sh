#!/usr/bin/env bash
# Test on a Slurm cluster:
#   bash tools/slurm_test.sh PARTITION JOB CONFIG CHECKPOINT [arguments]
# Set GPUS, GPUS_PER_NODE, CPUS_PER_TASK and SRUN_ARGS for the allocation.
source "$(dirname "$0")/launch.sh"
need_arguments 4 $#
launch_on_slurm "$1" "$2" test.py "$3" "$4" "${@:5}"
