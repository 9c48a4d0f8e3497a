#!/bin/sh
# Which lines of include/ do the fast tests run, those of the emulated GPU included? Prints each file's share and the lines that
# none runs, and fails below 95 %. It compiles all tests anew, so it is run by hand:
#   tests/coverage.sh           everything, the better part of an hour on two cores
#   tests/coverage.sh REGEX     only the tests whose names begin so, as TRICYCLE_TEST_ONLY; those of the emulator too if it is `gpu`
# It counts what a compiler has seen: a template that no test uses is no line.
set -eu
cd "$(dirname "$0")/.."
build=build/coverage
emulated=ON only=${1:-}
if [ -n "$only" ] && [ "$only" != gpu ]; then emulated=OFF; fi
if [ "$only" = gpu ]; then only='^$'; fi

cmake -S . -B $build -G Ninja -DCMAKE_CXX_FLAGS="-O0 --coverage -fprofile-update=atomic" -DTRICYCLE_TESTS=ON -DTRICYCLE_EXAMPLES=OFF \
  -DTRICYCLE_TEST_EMULATED=$emulated -DTRICYCLE_TEST_ONLY="$only" -DFETCHCONTENT_BASE_DIR="$PWD/build/fetched" >/dev/null
cmake --build $build -j "${JOBS:-$(getconf _NPROCESSORS_ONLN)}"
find $build -name '*.gcda' -delete
ctest --test-dir $build -L fast --output-on-failure -j "${JOBS:-$(getconf _NPROCESSORS_ONLN)}"
exec python3 tests/coverage.py $build
