#!/bin/sh
# Fuzz every parser for some minutes each, 10 unless told otherwise, on one core and with the lowest priority. CI fuzzes for seconds.
#   tests/fuzz/long.sh [MINUTES] [NAME ...]        NAME: json, npy, ...; all of them without one
# What is found to be new is kept in build/fuzz/NAME, for the next time; an input that breaks something is build/fuzz/NAME-crash-*.
set -eu
cd "$(dirname "$0")/../.."
minutes=10
case ${1:-} in [0-9]*) minutes=$1 && shift ;; esac
[ $# -gt 0 ] || set -- $(ls tests/fuzz/fuzz_*.cpp | sed 's/.*fuzz_\(.*\)\.cpp/\1/')

cmake --preset clang-asan-ubsan >/dev/null
cmake --build --preset clang-asan-ubsan --target $(printf 'fuzz_%s ' "$@")
mkdir -p build/fuzz
failed=0
for name in "$@"; do
  mkdir -p "build/fuzz/$name"
  seeds=tests/fuzz/seeds/fuzz_$name
  if nice -n 19 "build/clang-asan-ubsan/tests/fuzz_$name" "build/fuzz/$name" $([ ! -d "$seeds" ] || echo "$seeds") -max_total_time=$((60 * minutes)) \
    -timeout=60 -rss_limit_mb=2048 -print_final_stats=1 "-artifact_prefix=build/fuzz/$name-" >"build/fuzz/$name.log" 2>&1; then
    echo "fuzz_$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "build/fuzz/$name.log") inputs, nothing found"
  else
    failed=1
    echo "fuzz_$name: build/fuzz/$name.log says what was found"
  fi
done
echo "fuzzed: $# parsers, $minutes minutes each"
exit $failed
