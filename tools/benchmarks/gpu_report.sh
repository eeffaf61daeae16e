#!/usr/bin/env bash
# Everything that only a GPU can tell, in less than ten minutes, as a Markdown
# table:
#   bash tools/benchmarks/gpu_report.sh [--small] [REPORT.md]
# --small is for a CPU: the same parts in sizes that it can do. Each part has a
# time limit of its own, and one that fails or runs past it leaves the rows
# that it has printed, and the others run. What the parts say goes to
# REPORT.log. PYTHON is the interpreter that has the stack.
set -uo pipefail

small=() patience=1
if [ "${1:-}" = --small ]; then
    small=(--small) patience=10  # a CPU may be busy with other work
    shift
fi
report=$(realpath -m "${1:-gpu_report.md}")
log=${report%.md}.log
python=${PYTHON:-python}
cd "$(dirname "$0")/../.." || exit 1
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} OMP_NUM_THREADS=1

gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1)
mkdir -p "$(dirname "$report")"
: > "$log"
{
    echo '# GPU report'
    echo
    echo "Commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown)," \
        "${gpu:-no GPU}, $(env -u OMP_NUM_THREADS nproc) CPUs${small:+, --small}"
    # nproc counts what OpenMP may use.
    [ -n "$gpu" ] || printf '\n%s\n%s\n' 'Without a GPU its tests are skipped, and' \
        'CUDA graphs and shares of a bound are not measured.'
    echo
    echo '| part | case | measured | of an H200 bound |'
    echo '| --- | --- | --- | --- |'
} > "$report"

failures=0
# part NAME SECONDS COMMAND...: rows of its standard output, and how it ended
part() {
    local name=$1 limit=$(($2 * patience)) start=$SECONDS code
    shift 2
    timeout --kill-after=5 "$limit" "$@" 2>> "$log" |
        tee -a "$log" | grep --line-buffered '^| ' >> "$report"
    code=${PIPESTATUS[0]}
    local state=done
    [ "$code" = 124 ] || [ "$code" = 137 ] && state="time limit of $limit s"
    [ "$code" != 0 ] && [ "$state" = done ] && state="failed ($code), see the log"
    [ "$code" != 0 ] && failures=$((failures + 1))
    echo "| $name | whole part, $((SECONDS - start)) s | $state | |" >> "$report"
}

# Each test that needs a GPU is in a file that asks for one.
mapfile -t tests < <(grep -rlE 'cuda\.is_available' tests --include='test_*.py')
parity() {
    "$python" -m pytest -q -n 0 -k 'gpu or cuda' -p no:cacheprovider "$@" |
        tee /dev/stderr | tail -n 1 | sed 's/^/| parity | tests of the GPU | /; s/$/ | |/'
    return "${PIPESTATUS[0]}"
}
export -f parity
export python
part parity 100 bash -c 'parity "$@"' parity "${tests[@]}"
for name in transfer hha loader run; do
    case $name in transfer) seconds=200 ;; run) seconds=120 ;; *) seconds=70 ;; esac
    part "$name" "$seconds" "$python" tools/benchmarks/gpu_parts.py "${small[@]}" "$name"
done
cat "$report"
exit $((failures > 0))
