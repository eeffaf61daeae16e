#!/usr/bin/env bash
# Test with several processes on one or more machines:
#   bash tools/dist_test.sh CONFIG CHECKPOINT NPROC [arguments of test.py]
# NPROC is the number of processes (GPUs) on this machine. With several
# machines, set NNODES, NODE_RANK, MASTER_ADDR and PORT on each. The backend
# comes from env_cfg.dist_cfg of the config; without a GPU it is gloo.
source "$(dirname "$0")/launch.sh"
need_arguments 3 $#
launch_processes "$3" test.py "$1" "$2" "${@:4}"
