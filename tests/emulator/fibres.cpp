// Runs a kernel: which thread goes on is drawn at random, so that what is missing between two threads shows.
#include "fibres.hpp"
#include <sys/mman.h>
#include <algorithm>
#include <csignal>
#include "block.hpp"
#include "memory.hpp"
#include "watch.hpp"

uint3 threadIdx, blockIdx, blockDim, gridDim;

namespace emulator {

constinit Block* the_block = nullptr;

namespace {

constexpr std::size_t stack_bytes = 256 << 10, guard_bytes = 64 << 10;

struct Stack {
  Range* range;
  ctx::stack_context allocate() {
    void* p = mmap(nullptr, stack_bytes + guard_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED || mprotect(p, guard_bytes, PROT_NONE) != 0) fail("there is no memory for a thread's stack");
    *range = {reinterpret_cast<std::uintptr_t>(p) + guard_bytes, stack_bytes};
    static std::size_t count = 0;
    std::size_t unused = count++ * 320 % 4096;           // so that the stacks do not all want the same lines of the cache
    ctx::stack_context s;
    s.size = stack_bytes - unused;
    s.sp = static_cast<char*>(p) + guard_bytes + s.size;
    return s;
  }
  void deallocate(ctx::stack_context&) noexcept {}
};

std::uint16_t draw(std::vector<std::uint16_t>& from) {
  auto i = dice.below(from.size());
  auto drawn = from[i];
  from[i] = from.back();
  from.pop_back();
  return drawn;
}

/// Not inlined: a fibre may go on in another thread of the process, which has another in_kernel.
__attribute__((noinline)) void body_of_thread() {
  auto& b = block();
  in_kernel = true;
  b.kernel->run(b.kernel->function, b.kernel->arguments);
  in_kernel = false;
  leave();
}

}  // namespace

void enter(Thread& t) {
  block().current = &t;
  here.thread = t.number;
  here.warp = &block().warps[t.number / 32];
  here.stack = t.fibre->stack;
  threadIdx = t.id;
}

Thread& any_thread() {
  auto& b = block();
  if (b.ready.empty() && b.fresh.empty()) stuck();
  return b.threads[draw(b.ready.empty() || (!b.fresh.empty() && dice.one_in(2)) ? b.fresh : b.ready)];
}

Fibre* idle_fibre() {
  auto& b = block();
  if (!b.idle.empty()) {
    auto* f = b.idle.back();
    b.idle.pop_back();
    return f;
  }
  auto* f = new Fibre;                                   // lives as long as the process
  f->rest = ctx::fiber(std::allocator_arg, Stack{&f->stack}, [f, &b](ctx::fiber&& from) {
    *b.left_off = std::move(from);
    for (;;) {
      body_of_thread();
      auto* next = b.left ? &any_thread() : nullptr;
      if (next && !next->fibre) {                        // it begins, on the same stack
        next->fibre = f;
        enter(*next);
        continue;
      }
      b.idle.push_back(f);
      if (next) enter(*next);
      switch_to(next ? next->fibre->rest : b.scheduler, f->rest);
    }
    return std::move(b.scheduler);
  });
  b.stacks.push_back(f->stack);
  return f;
}

namespace {

void begin_block(unsigned number, dim3 grid, dim3 size) {
  auto& b = block();
  unsigned n = size.x * size.y * size.z;
  blockIdx = {number % grid.x, number / grid.x % grid.y, number / grid.x / grid.y};
  b.threads.resize(n);
  b.warps.resize((n + 31) / 32);
  b.fresh.resize(n);
  b.left = n;
  for (unsigned i = 0; i < n; ++i) {
    b.threads[i] = {};
    b.threads[i].number = i;
    b.threads[i].id = {i % size.x, i / size.x % size.y, i / size.x / size.y};
    b.fresh[i] = static_cast<std::uint16_t>(i);
  }
  for (std::size_t w = 0; w < b.warps.size(); ++w) {
    auto& warp = b.warps[w];
    unsigned lanes = std::min(32u, n - static_cast<unsigned>(w) * 32);
    warp.present = lanes == 32 ? ~0u : (1u << lanes) - 1;
    warp.waiting = 0, warp.met = 0, warp.pairs.reset();
  }
  here.block_began = here.block_met = ++here.now;
  ++here.block;
  here.acquired = false, here.released = 0;
  forget_shared();
}

/// A stack on which a fault of a fibre's, whose own stack may be full, can be reported.
void prepare_faults() {
  stack_t s{};
  if (sigaltstack(nullptr, &s) == 0 && !(s.ss_flags & SS_DISABLE)) return;
  static thread_local char* own = new char[64 << 10];    // for ever: the handler may come late
  s = {};
  s.ss_sp = own, s.ss_size = 64 << 10;
  sigaltstack(&s, nullptr);
}

}  // namespace

void run_kernel(const Kernel& kernel, dim3 grid, dim3 size, std::size_t shared, int device) {
  prepare_faults();
  if (!the_block) the_block = new Block;
  auto& b = block();
  b.kernel = &kernel;
  b.released.clear();
  gridDim = {grid.x, grid.y, grid.z}, blockDim = {size.x, size.y, size.z};
  here.kernel = kernel.function;
  here.arguments = {reinterpret_cast<std::uintptr_t>(kernel.arguments), kernel.bytes};
  here.device = device_range(device), here.device_number = device;
  here.shared = {shared_range().low, shared};
  here.launch_began = ++here.now;
  std::size_t n = std::size_t(grid.x) * grid.y * grid.z;
  std::vector<unsigned> order(n);
  for (std::size_t i = 0; i < n; ++i) {                  // a shuffle, from the inside out
    auto j = dice.below(i + 1);
    order[i] = order[j];
    order[j] = static_cast<unsigned>(i);
  }
  is_launching = true;
  for (unsigned number : order) {
    begin_block(number, grid, size);
    auto& first = any_thread();
    first.fibre = idle_fibre();
    enter(first);
    switch_to(first.fibre->rest, b.scheduler);           // comes back when all threads have returned
    if (here.released) b.released.emplace_back(here.block_began, here.released);
  }
  is_launching = false;
  here.kernel = nullptr;
}

bool met_in_warp(unsigned thread, std::uint64_t time) {
  if (thread / 32 != here.thread / 32) return false;
  return time < here.warp->met || (here.warp->pairs && time < here.warp->pairs[here.thread % 32 * 32 + thread % 32]);
}

bool was_released(std::uint64_t time) {
  const auto& all = block().released;
  auto at = std::upper_bound(all.begin(), all.end(), time, [](std::uint64_t t, const auto& r) { return t < r.first; });
  return at != all.begin() && time < std::prev(at)->second;
}

bool is_fibre_stack(std::uintptr_t p) {
  for (const auto& s : block().stacks)
    if (s.holds(p)) return true;
  return false;
}

int lane() { return static_cast<int>(here.thread % 32); }
unsigned active_mask() { return here.warp->present; }
void* dynamic_shared() { return reinterpret_cast<void*>(here.shared.low); }
void fence() {
  here.released = ++here.now;
  here.acquired = true;
}

}  // namespace emulator
