#!/bin/sh
# All that a GPU can tell of this library, in one command of at most 9 minutes: tests on it, a profile by kernel, the
# training step against PyTorch's, and compute-sanitizer. What it finds is in $OUT (bench/results/gpu/ unless set), as it comes; last a table.
#
#   bench/carry.sh [--build]        before: fills .carry/ with what the GPU machine lacks (and with programs built by nvcc)
#   bench/gpu.sh [SECTION...]       on the GPU machine: tests, profile, steps, sanitizer, or some of these
#   bench/gpu.sh --rehearse         here, without a GPU: CPU and emulator, tiny sizes
#
# Each section may fail, or run out of its time, without ending the others. PYTHON names an interpreter with PyTorch.
set -u
cd "$(dirname "$0")/.." || exit 1
export OUT="${OUT:-bench/results/gpu}" PYTHON="${PYTHON:-python3}" PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
rehearse=${REHEARSE:-}
if [ "${1:-}" = --rehearse ]; then rehearse=yes && shift; fi
export REHEARSE="$rehearse"
build=build/gpu bin=build/gpu/programs
if [ -n "$rehearse" ]; then build=build/gpu_rehearsal bin=build/gpu_rehearsal/programs; fi
text=.carry/text.txt

say() { printf '%s\n' "$*"; }
skip() { say "skipped: $*"; }
have_torch() { "$PYTHON" -c 'import torch' 2>/dev/null; }

# ------------------------------------------------------------ what there is

section_machine() {
  say "date: $(date -u '+%Y-%m-%d %H:%M') UTC"
  say "commit: $(git describe --always --dirty --exclude '*' 2>/dev/null || cat .carry/commit 2>/dev/null || echo unknown)"
  say "processors: $(nproc)"
  if command -v nvidia-smi >/dev/null; then
    say "card: $(nvidia-smi --query-gpu=name,memory.total,driver_version,compute_cap,clocks.max.sm,power.limit --format=csv,noheader)"
    nvidia-smi
  else
    say "card: none"
    skip "nvidia-smi: not here"
  fi
  if command -v nvcc >/dev/null; then say "nvcc: $(nvcc --version | sed -n 's/.*release \([^,]*\).*/\1/p')"; else skip "nvcc: not here"; fi
  say "compiler: $(c++ --version | sed -n 1p)"
  "$PYTHON" -c 'import torch; print("PyTorch:", torch.__version__, "CUDA", torch.version.cuda)' 2>/dev/null || skip "PyTorch: $PYTHON has none"
}

# ------------------------------------------------------------ the programs, into $bin

take() { for program in "$@"; do if [ -x "$program" ]; then cp "$program" "$bin/"; else say "not built: $program"; fi; done; }

section_build() {
  rm -rf "$bin" && mkdir -p "$bin"
  set -- -DTRICYCLE_TESTS=ON -DTRICYCLE_BENCH=ON -DTRICYCLE_EXAMPLES=OFF \
    -DFETCHCONTENT_SOURCE_DIR_EIGEN="$PWD/.carry/eigen" -DFETCHCONTENT_SOURCE_DIR_CATCH2="$PWD/.carry/catch2"
  if command -v ccache >/dev/null; then set -- "$@" -DCMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
  if [ -n "$rehearse" ]; then
    cmake -S . -B $build -G Ninja "$@" -DTRICYCLE_TEST_EMULATED=ON -DTRICYCLE_TEST_ONLY=none_of_them -DCMAKE_CXX_FLAGS=-O2 || return 1
    ninja -C $build -j "${JOBS:-1}" -k 0 gpu_step gpu_step_emulated launches test_gpu_training test_gpu_attention
    take $build/bench/gpu_step $build/bench/gpu_step_emulated $build/bench/launches $build/tests/test_gpu_training $build/tests/test_gpu_attention
    return
  fi
  if [ -f .carry/stamp ] && [ "$(cat .carry/stamp)" = "$(bench/carry.sh --stamp)" ]; then
    tar -xzf .carry/bin.tgz -C "$bin" --strip-components 1
    if "$bin/gpu_step" --help >/dev/null; then say "built elsewhere, of these very sources: .carry/bin" && return; fi
    say "built elsewhere, and does not start here: built again" && rm "$bin"/*
  fi
  card=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | sed -n '1s/\.//p')
  cmake -S . -B $build -G Ninja "$@" -DTRICYCLE_CUDA=ON -DTRICYCLE_TEST_ONLY=cuda_ -DCMAKE_CUDA_ARCHITECTURES="${card:-90}-real" \
    -DCMAKE_CUDA_FLAGS=-O2 -DCMAKE_CXX_FLAGS=-O2 || return 1
  programs=$(for source in tests/gpu/test_*.cpp; do basename "$source" .cpp | sed 's/^test_/test_cuda_/'; done)
  # shellcheck disable=SC2086  # a list of words
  timeout --foreground 230 ninja -C $build -k 0 gpu_step $programs
  status=$?
  take $build/bench/gpu_step
  for program in $programs; do take "$build/tests/cuda/$program"; done
  return $status
}

# ------------------------------------------------------------ tests, side by side

section_tests() {
  limit=70 jobs=$(nproc)
  if [ -n "$rehearse" ]; then limit=600 jobs=1; fi         # the emulator is slow
  : >$build/tests.failed
  for path in "$bin"/test_gpu_* "$bin"/test_cuda_*; do echo "$path"; done | xargs -P "$jobs" -I '{}' sh -c '
    if [ ! -x {} ]; then exit 0; fi
    timeout --foreground '"${TEST_LIMIT:-$limit}"' {} "~[.]" >{}.log 2>&1 || { echo "FAILED ($?, 124 is out of time): $(basename {})" >>{}.log && echo {} >>'$build/tests.failed'; }'
  for path in "$bin"/test_*.log; do say "== $(basename "$path" .log)" && cat "$path"; done
  [ ! -s $build/tests.failed ]
}

# ------------------------------------------------------------ compute-sanitizer, a little of each tool, side by side

section_sanitizer() {
  if ! command -v compute-sanitizer >/dev/null; then skip "compute-sanitizer: not here" && return; fi
  for tool in memcheck racecheck synccheck initcheck; do
    for test in "training:a GPU learns*" "attention:flash attention reads and writes in place*"; do
      path=$bin/test_cuda_${test%%:*}
      { timeout -k 3 "${SANITIZER_LIMIT:-55}" compute-sanitizer --tool $tool --print-limit 5 --error-exitcode 9 "$path" "${test#*:}" >"$path.$tool.log" 2>&1 ||
        say "FAILED ($?, 124 is out of time): $tool $test" >>"$path.$tool.log"; } &
    done
  done
  wait
  for path in "$bin"/*.*check.log; do say "== $(basename "$path" .log)" && cat "$path"; done
  ! cat "$bin"/*.*check.log | grep -q '^FAILED'
}

# ------------------------------------------------------------ the training step

# peer NAME CONFIG OPTIONS...: one turn of a peer, with the largest batch of $batches that its memory allows. Its lines are results.
peer() {
  name=$1 config=$2 && shift 2
  found=$build/batch.$name.$config
  case $name in
    pytorch*)
      if ! have_torch; then skip "$name: $PYTHON has no PyTorch" && return; fi
      if [ "$name" = pytorch_compile ]; then set -- --compile "$@"; fi
      set -- "$PYTHON" bench/peers/gpu_step.py "$@" ;;
    *)
      program=$bin/gpu_step
      case $name in tricycle_eager) set -- --capture off "$@" ;; tricycle_tuned) set -- --tune "$@" ;; emulated) program=$bin/gpu_step_emulated ;; esac
      if [ ! -x "$program" ]; then skip "$name: gpu_step is not built" && return; fi
      set -- "$program" "$@" ;;
  esac
  for batch in $(cat "$found" 2>/dev/null || echo "$batches"); do
    say "== $name $config, batch $batch"
    timeout --foreground -k 5 "${PEER_LIMIT:-100}" "$@" --config "$config" --data $text --batch "$batch" >$build/one.jsonl 2>$build/one.log
    status=$?
    if [ $status -eq 0 ]; then
      echo "$batch" >"$found"
      cat $build/one.jsonl && cat $build/one.jsonl >>"$OUT/results.jsonl"
      return
    fi
    tail -n 2 $build/one.log
    if [ $status -ne 3 ] && ! grep -q "out of memory" $build/one.log; then say "FAILED ($status): $name $config" && return 1; fi
  done
  say "FAILED: $name $config does not fit"
}

section_steps() {
  mkdir -p $build && rm -f $build/batch.* && : >"$OUT/results.jsonl"
  if [ ! -f $text ]; then text=README.md; fi
  if [ -n "$rehearse" ]; then
    batches="1 2"
    for turn in 1 2; do
      say "-- turn $turn"
      for name in tricycle pytorch_compile pytorch_eager; do
        peer "$name" gpt2_124m --device cpu --layers 1 --width 96 --context 64 --vocabulary 2048 --rounds 1 --steps 2 --warm-up 2
        peer "$name" nanogpt_gpu --device cpu --layers 1 --width 96 --context 64 --rounds 1 --steps 2 --warm-up 2
      done
      peer emulated debug --device cuda:0 --rounds 1 --steps 1 --warm-up 3
    done
    return
  fi
  # What matters most comes first, in case that time runs out.
  for turn in $(seq "${TURNS:-2}"); do
    say "-- turn $turn"
    for name in ${PEERS:-tricycle_captured pytorch_compile pytorch_eager tricycle_eager tricycle_tuned}; do
      batches="64 32 16 8"
      peer "$name" gpt2_124m --device cuda:0 --rounds 3 --steps 8 --warm-up 6
      if [ "$name" != tricycle_tuned ]; then
        batches=64
        peer "$name" nanogpt_gpu --device cuda:0 --rounds 3 --steps 40 --warm-up 20
      fi
    done
  done
}

# ------------------------------------------------------------ where its time goes, kernel by kernel

# Two layers instead of twelve, the rest as it is: each kernel's time and its traffic with memory, in a warm cache.
section_profile() {
  if ! command -v ncu >/dev/null; then skip "ncu: not here" && return; fi
  timeout --foreground -k 5 80 ncu --clock-control none --cache-control none --metrics gpu__time_duration.sum,dram__bytes.sum --csv --page raw --print-units base --log-file "$OUT/profile.csv" \
    "$bin/gpu_step" --config gpt2_124m --layers 2 --capture off --device cuda:0 --data $text --batch 64 --rounds 1 --steps 1 --warm-up 2
}

# ------------------------------------------------------------ all of them

if [ "${1:-}" = --section ]; then
  "section_$2"
  exit
fi

mkdir -p "$OUT"
began=$(date +%s)
all=${ALL_SECONDS:-530}
if [ -n "$rehearse" ]; then all=${ALL_SECONDS:-3600}; fi
say "section | status | seconds" >"$OUT/sections.txt"
# section NAME LIMIT LOG: with the time that is left at most. The end of what it says is shown, all of it kept.
section() {
  left=$((all - $(date +%s) + began)) limit=$2 at=$(date +%s)
  if [ -n "$rehearse" ]; then limit=$left; fi
  if [ "$limit" -gt $left ]; then limit=$left; fi
  say "==== $1, $limit s at most"
  if [ "$limit" -lt 5 ]; then status=124; else timeout -k 5 "$limit" sh bench/gpu.sh --section "$1" >"$OUT/$3" 2>&1; status=$?; fi
  tail -n "${TAIL:-12}" "$OUT/$3" 2>/dev/null
  case $status in 0) word="done" ;; 124 | 137) word="out of time" ;; *) word="failed ($status)" ;; esac
  say "$1 | $word | $(($(date +%s) - at))" >>"$OUT/sections.txt"
}
section machine 15 machine.txt
section build 240 build.log
for name in ${*:-tests profile steps sanitizer}; do
  case $name in tests | profile) limit=90 ;; sanitizer) limit=60 ;; *) limit=400 ;; esac
  section "$name" $limit "$name.log"
done
"$PYTHON" bench/gpu_table.py "$OUT" || python3 bench/gpu_table.py "$OUT"
cat "$OUT/table.md"
