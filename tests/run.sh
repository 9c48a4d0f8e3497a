#!/bin/sh
# Install what is missing, build the tests and run them: the fast ones first, then the slow ones, then what is built
# otherwise (clang, sanitizers, CUDA, users' projects). CTest's summary of them all is the last thing printed.
#   tests/run.sh             everything, an hour or more on two slow cores the first time
#   tests/run.sh fast        what takes seconds once it is built
#   tests/run.sh NAME        one other build: native, debug, tsan, clang-asan-ubsan or clang-quick, cuda (all that nvcc compiles) or cuda-quick
set -eu
cd "$(dirname "$0")/.."
what=${1:-everything}

cores=$(getconf _NPROCESSORS_ONLN)
export CTEST_PARALLEL_LEVEL="${CTEST_PARALLEL_LEVEL:-$cores}"

needed="compiler cmake ninja eigen catch2 boost ccache certificates"
case $what in
  fast) needed="$needed python" ;;
  everything) needed="$needed python tsan clang clang-runtime" ;;
  clang-*) needed="$needed clang clang-runtime" ;;
esac
echo "== looking for what the tests need: $needed"
# shellcheck disable=SC2086  # a list of words
sh cmake/install_dependencies.sh $needed
exec </dev/null
if command -v ccache >/dev/null; then
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache CMAKE_CUDA_COMPILER_LAUNCHER=ccache CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1
fi

case $what in
  everything) preset=tests ;;
  fast) preset=fast ;;
  *) echo "== building and running the preset $what" && exec cmake --workflow --preset "$what" ;;
esac

echo "== configuring"
cmake --preset tests
echo "== building the tests and the examples"
cmake --build --preset tests
echo "== running: $what"
exec ctest --preset "$preset"
