#!/usr/bin/env bash
# Sets PYTHON to an interpreter that has the whole stack. The first that fits:
#   1. the active environment (or the interpreter that PYTHON names),
#   2. .venv of this checkout,
#   3. a new .venv, into which pinned versions are installed.
# Sourced by quickstart.sh, run_tests.sh and .ci/run; may also be run alone.
# An interrupted set-up starts anew next time, from what pip has cached.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# The same import names come from two distributions: the maintained onedl-*
# packages, or (MMXDISTILL_STACK=openmmlab) the original ones, for tests.
STACK=${MMXDISTILL_STACK:-onedl}
case $STACK in
    onedl)
        VENV=$ROOT/.venv
        MMENGINE=onedl-mmengine MMCV=onedl-mmcv MMDET=onedl-mmdetection
        STACK_PINS='onedl-mmengine==0.10.12
onedl-mmcv==2.3.6
onedl-mmdetection==3.5.1'
        ;;
    openmmlab)
        VENV=$ROOT/.venv-openmmlab
        MMENGINE=mmengine MMCV=mmcv MMDET=mmdet
        STACK_PINS='mmengine==0.10.7
mmcv==2.1.0
mmdet==3.3.0'
        ;;
    *)
        echo "MMXDISTILL_STACK=$STACK: must be onedl or openmmlab" >&2
        exit 2
        ;;
esac
STAMP=$VENV/mmxdistill-setup.txt  # the pins, written when all is installed
LOG=$VENV/mmxdistill-setup.log
# mmengine 0.10.7 and the build of mmcv 2.1.0 import pkg_resources, which
# setuptools dropped.
PINS="torch==2.13.0
numpy==2.2.6
opencv-python==4.12.0.88
opencv-python-headless==4.12.0.88
opencv-contrib-python-headless==4.12.0.88
$STACK_PINS
h5py==3.16.0
numba==0.68.1
setuptools<81
furo==2025.12.19
mypy==2.4.1
myst-parser==5.2.0
pytest==9.2.0
pytest-xdist==3.8.0
ruff==0.17.5
snakemake==9.27.1
sphinx==9.0.4
tensorboard==2.21.0
webdataset==1.0.2"

say() { echo "[setup] $*" >&2; }

die() {
    say "error: $*"
    exit 1
}

has_stack() {
    "$1" -c 'import cv2, mmcv.ops, mmdet, mmengine, pytest, scipy, torch' \
        >/dev/null 2>&1
}

# Names the first interpreter that runs and is new enough.
find_base_python() {
    local python
    for python in ${PYTHON:-} python3 python python3.12 python3.11 python3.10
    do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
            >/dev/null 2>&1; then
            echo "$python"
            return
        fi
    done
    die 'no Python >= 3.10 found; name one: PYTHON=/path/to/python bash ...'
}

need_space() {  # DIRECTORY GB
    local free
    free=$(($(df -Pk "$1" | awk 'NR == 2 { print $4 }') / 1024 / 1024))
    [ "$free" -ge "$2" ] || die "$free GB free in $1, but $2 GB are needed"
}

# Finds at once what would otherwise fail after minutes.
check_machine() {  # INTERPRETER
    [ -w "$ROOT" ] || die "$ROOT is not writable; it is to hold .venv"
    need_space "$ROOT" 3
    need_space "${TMPDIR:-/tmp}" 1
    command -v "${CXX:-c++}" >/dev/null ||
        die "no C++ compiler (${CXX:-c++}), and mmcv is compiled;" \
            'on Debian or Ubuntu: apt install build-essential'
    "$1" -c 'import os, sys, sysconfig
path = os.path.join(sysconfig.get_path("include"), "Python.h")
sys.exit(not os.path.exists(path))' ||
        die 'no Python.h, and mmcv is compiled;' \
            'on Debian or Ubuntu: apt install python3-dev'
    "$1" -c 'import ensurepip, venv' 2>/dev/null ||
        die "$1 lacks the venv module; on Debian or Ubuntu:" \
            'apt install python3-venv'
}

# Passes on what a compiler run says about its progress: [done/all].
show_progress() {
    local line begin=$SECONDS next=10 percent left
    while IFS= read -r line; do
        [[ $line =~ \[([0-9]+)/([0-9]+)\] ]] || continue
        percent=$((100 * BASH_REMATCH[1] / BASH_REMATCH[2]))
        if [ "$percent" -ge "$next" ] && [ "$percent" -lt 100 ]; then
            left=$(((SECONDS - begin) * (100 - percent) / percent))
            say "    $percent % compiled, about $left s left"
            next=$((percent / 10 * 10 + 10))
        fi
    done
}

# Runs the command, its output going to the log.
step() {  # LABEL COMMAND...
    local label=$1 begin=$SECONDS
    shift
    say "$label ..."
    if ! "$@" 2>&1 | tee -a "$LOG" | show_progress; then
        tail -n 20 "$LOG" >&2
        die "failed: $label. The whole output: $LOG"
    fi
    say "    done in $((SECONDS - begin)) s"
}

pip_install() {
    "$VENV/bin/python" -m pip install --disable-pip-version-check \
        --constraint "$STAMP.new" "$@"
}

check_cuda_toolkit() {
    local code=0
    "$VENV/bin/python" -c 'import sys, torch
from torch.utils.cpp_extension import CUDA_HOME
sys.exit(3 if torch.cuda.is_available() and CUDA_HOME is None else 0)' \
        >>"$LOG" 2>&1 || code=$?
    [ "$code" -ne 3 ] ||
        die 'there is a GPU, but no CUDA toolkit (nvcc) to compile mmcv for' \
            'it. Install the toolkit and set CUDA_HOME, or use the CPU:' \
            'export CUDA_VISIBLE_DEVICES=-1'
}

build_mmcv() {
    MMCV_WITH_OPS=1 MAX_JOBS=$(getconf _NPROCESSORS_ONLN) \
        pip_install --verbose --no-build-isolation "$@" \
        "$MMCV" "$MMENGINE" opencv-python opencv-python-headless
}

# mmcv and mmdet ask for one OpenCV each, and selective search and EdgeBoxes
# need the contrib modules; all of them install the same cv2 folder.
keep_one_opencv() {
    "$VENV/bin/python" -m pip uninstall --yes \
        opencv-python opencv-python-headless
    pip_install --no-deps --force-reinstall opencv-contrib-python-headless
}

install_stack() {
    local base begin=$SECONDS
    if [ "$(cat "$STAMP" 2>/dev/null)" = incomplete ]; then
        say "$VENV is from an interrupted set-up and is made anew"
        rm -rf "$VENV"
    fi
    base=$(find_base_python)
    check_machine "$base"
    say "setting up $VENV; about 15 min on 2 cores the first time,"
    say '    about 2 min once pip has cached the compiled mmcv'
    if [ ! -e "$VENV" ]; then
        mkdir "$VENV"
        echo incomplete >"$STAMP"
    fi
    if ! "$VENV/bin/python" -c '' 2>/dev/null; then
        step "a virtual environment of $base" "$base" -m venv "$VENV"
    fi
    echo "$PINS" >"$STAMP.new"
    step '1/6 build tools' pip_install --upgrade \
        pip setuptools wheel ninja psutil packaging
    step '2/6 PyTorch, a large download (about 2 min)' pip_install torch numpy
    check_cuda_toolkit
    step '3/6 mmcv, compiled unless cached (about 10 min)' build_mmcv
    if ! "$VENV/bin/python" -c 'import mmcv.ops' >>"$LOG" 2>&1; then
        "$VENV/bin/python" -m pip cache remove "${MMCV//-/_}*" >>"$LOG" || true
        step '3/6 mmcv again: the cached one is for another PyTorch' \
            build_mmcv --no-deps --force-reinstall
    fi
    step '4/6 mmdet and the tools for the tests (about 1 min)' \
        pip_install "$MMDET" scipy protobuf h5py numba \
        pytest pytest-xdist mypy ruff tensorboard webdataset \
        {snakemake,sphinx,myst-parser,furo}'; python_version >= "3.11"'
    step '5/6 one OpenCV, with the contrib modules' keep_one_opencv
    step '6/6 mmxdistill' \
        pip_install --no-deps --no-build-isolation --editable "$ROOT"
    if ! has_stack "$VENV/bin/python"; then
        "$VENV/bin/python" -c 'import mmcv.ops, mmdet' || true
        die "$VENV is installed but does not import. Remove it and repeat;" \
            "the whole output: $LOG"
    fi
    mv "$STAMP.new" "$STAMP"
    say "set up in $((SECONDS - begin)) s"
}

setup_env() {
    local python stamp
    for python in ${PYTHON:-} python python3; do
        # Which stack an active environment has is its owner's choice.
        [ -z "${MMXDISTILL_STACK:-}" ] || break
        python=$(command -v "$python") || continue
        if has_stack "$python"; then
            PYTHON=$python
            return
        fi
    done
    # Without a stamp, .venv was made by hand: used as it is if complete.
    stamp=$(cat "$STAMP" 2>/dev/null || echo "$PINS")
    if [ "$stamp" != "$PINS" ] || ! has_stack "$VENV/bin/python"; then
        install_stack
    fi
    PYTHON=$VENV/bin/python
}

setup_env
say "using $PYTHON"
export PYTHON
# For the commands that users are shown, and an environment without mmxdistill.
PATH="$(dirname "$PYTHON"):$PATH"
export PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}"
