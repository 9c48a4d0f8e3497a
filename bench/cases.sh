#!/bin/sh
# Small pieces of work against PyTorch's: the two in turn, round by round, on the same threads.
#   bench/cases.sh einsum|scalar_chain [ROUNDS] [THREADS]         PYTHON names an interpreter that has torch and opt_einsum
set -eu
cd "$(dirname "$0")/.."
name=$1 rounds=${2:-5} threads=${3:-2} python=${PYTHON:-python3}
cmake --preset release >/dev/null
cmake --build build/release --target "$name" >/dev/null
results=$(mktemp)
trap 'rm -f "$results"' EXIT
round=0
while [ $round -lt "$rounds" ]; do
  "$python" "bench/peers/$name.py" --threads "$threads" >>"$results"
  "build/release/bench/$name" --threads "$threads" >>"$results"
  round=$((round + 1))
done
"$python" bench/peers/compare_cases.py "$results"
