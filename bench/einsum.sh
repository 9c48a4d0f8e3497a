#!/bin/sh
# Einsum against PyTorch's: the two in turn, round by round, on the same threads.
#   bench/einsum.sh [ROUNDS] [THREADS]         PYTHON names an interpreter that has torch and opt_einsum
set -eu
cd "$(dirname "$0")/.."
rounds=${1:-5} threads=${2:-2} python=${PYTHON:-python3}
cmake --preset release >/dev/null
cmake --build build/release --target einsum >/dev/null
results=$(mktemp)
trap 'rm -f "$results"' EXIT
round=0
while [ $round -lt "$rounds" ]; do
  "$python" bench/peers/einsum.py --threads "$threads" >>"$results"
  build/release/bench/einsum --threads "$threads" >>"$results"
  round=$((round + 1))
done
"$python" bench/peers/compare_einsum.py "$results"
