#!/bin/sh
# The GPT training step against PyTorch's: the two in turn, round by round, on the same threads and text.
#   bench/gpt_step.sh DATA [ROUNDS] [THREADS]         PYTHON names an interpreter that has torch
set -eu
cd "$(dirname "$0")/.."
data=$1 rounds=${2:-5} threads=${3:-2} python=${PYTHON:-python3}
cmake --preset release >/dev/null
cmake --build build/release --target gpt_step >/dev/null
results=$(mktemp)
trap 'rm -f "$results" "$results.one"' EXIT
round=0
while [ $round -lt "$rounds" ]; do
  for options in "--gelu tanh" "--gelu tanh --compile"; do
    # shellcheck disable=SC2086  # a list of words
    "$python" bench/peers/gpt_step.py --data "$data" --threads "$threads" --rounds 1 $options >"$results.one"
    cat "$results.one" && cat "$results.one" >>"$results"
  done
  for precision in float bf16; do
    build/release/bench/gpt_step --data "$data" --threads "$threads" --rounds 1 --precision $precision >"$results.one"
    cat "$results.one" && cat "$results.one" >>"$results"
  done
  round=$((round + 1))
done
"$python" bench/peers/compare.py "$results"
