#!/bin/sh
# Fills .carry/, which git ignores, with what the bare GPU machine lacks and gpu.sh needs: the headers of Eigen and of
# Catch2 2, and a text to train on. About 6 MB.
#   bench/carry.sh          TEXT names the text; else Tiny Shakespeare, if it is on this machine
#   bench/carry.sh --build  builds the programs too, with nvcc for ARCHITECTURES (90), so that no time of the GPU's goes into it
#   bench/carry.sh --stamp  prints what tells the sources of such programs from others
set -eu
cd "$(dirname "$0")/.."

stamp() { find include tests/gpu tests/*.hpp examples/*.hpp bench/*.[ch]pp -type f | LC_ALL=C sort | xargs cat | cksum; }
if [ "${1:-}" = --stamp ]; then stamp && exit; fi
mkdir -p .carry/catch2/single_include/catch2

# The first of some paths that exists.
first() {
  for path in "$@"; do
    if [ -e "$path" ]; then echo "$path" && return; fi
  done
  echo "carry.sh: none of these is here: $*" >&2
  exit 1
}

eigen=$(first /usr/include/eigen3 build/fetched/eigen-src)
catch2=$(first /usr/include/catch2/catch.hpp build/fetched/catch2-src/single_include/catch2/catch.hpp)
text=$(first "${TEXT:-/nowhere}" "${TRICYCLE_DATA:-/nowhere}/tinyshakespeare.txt" "${XDG_CACHE_HOME:-$HOME/.cache}/tricycle/tinyshakespeare.txt")

rm -rf .carry/eigen && mkdir .carry/eigen
cp -R "$eigen/Eigen" .carry/eigen/
cp "$catch2" .carry/catch2/single_include/catch2/catch.hpp
cp "$text" .carry/text.txt
git describe --always --dirty --exclude '*' >.carry/commit 2>/dev/null || echo unknown >.carry/commit
rm -f .carry/bin.tgz .carry/stamp
if [ "${1:-}" = --build ]; then
  programs=$(for source in tests/gpu/test_*.cpp; do basename "$source" .cpp | sed 's/^test_/test_cuda_/'; done)
  build=build/carry
  launcher=$(command -v ccache || true)
  cmake -S . -B $build -G Ninja -DTRICYCLE_TESTS=ON -DTRICYCLE_BENCH=ON -DTRICYCLE_EXAMPLES=OFF -DTRICYCLE_CUDA=ON -DTRICYCLE_TEST_ONLY=cuda_ \
    -DCMAKE_CUDA_ARCHITECTURES="${ARCHITECTURES:-90}-real" -DCMAKE_CUDA_FLAGS=-O2 -DCMAKE_CXX_FLAGS=-O2 \
    -DCMAKE_CXX_COMPILER_LAUNCHER="$launcher" -DCMAKE_CUDA_COMPILER_LAUNCHER="$launcher"
  # shellcheck disable=SC2086  # a list of words
  cmake --build $build -j "${JOBS:-1}" --target gpu_step $programs
  mkdir .carry/bin
  cp $build/bench/gpu_step .carry/bin/
  for program in $programs; do cp "$build/tests/cuda/$program" .carry/bin/; done
  strip .carry/bin/*
  stamp >.carry/stamp
  tar -czf .carry/bin.tgz -C .carry bin && rm -r .carry/bin
fi
du -sh .carry
