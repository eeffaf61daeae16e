#!/usr/bin/env bash
# Train with several processes on one or more machines:
#   bash tools/dist_train.sh CONFIG NPROC [arguments of train.py]
# NPROC is the number of processes (GPUs) on this machine. With several
# machines, set NNODES, NODE_RANK, MASTER_ADDR and PORT on each. The backend
# comes from env_cfg.dist_cfg of the config; without a GPU it is gloo.
source "$(dirname "$0")/launch.sh"
need_arguments 2 $#
launch_processes "$2" train.py "$1" "${@:3}"
