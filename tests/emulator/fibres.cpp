// Runs a kernel: which thread goes on is drawn at random, so that what is missing between two threads shows.
#include "fibres.hpp"
#include <sys/mman.h>
#include <algorithm>
#include <boost/context/fiber.hpp>
#include <csignal>
#include <memory>
#include <vector>
#include "memory.hpp"
#include "report.hpp"
#include "watch.hpp"

uint3 threadIdx, blockIdx, blockDim, gridDim;

namespace emulator {

namespace ctx = boost::context;

enum class Waits : std::uint8_t { nowhere, in_warp, at_barrier, for_ever };   // for ever: it has returned

struct Fibre {
  Range stack;
  ctx::fiber rest;                                       // what it will do when it goes on
};

struct Thread {
  uint3 id{};
  unsigned number = 0;
  Waits waits = Waits::nowhere;
  Fibre* fibre = nullptr;
  const char* name = nullptr;                            // of what it waits for
  Together together = nullptr;
  unsigned mask = 0;
  void* data = nullptr;
};

struct Warp {
  unsigned present = 0, waiting = 0;                     // lanes that have not returned, and those that wait for others of the warp
  std::uint64_t met = 0;                                 // when all of them met last
  std::unique_ptr<std::uint64_t[]> pairs;                // when two lanes met last, if some have met without the others
};

namespace {

constexpr std::size_t stack_bytes = 256 << 10, guard_bytes = 64 << 10;

/// The block that runs, and what outlives it: stacks.
struct Block {
  const Kernel* kernel = nullptr;
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  std::vector<std::uint16_t> fresh, ready;               // threads that have not begun, and those that can go on
  unsigned left = 0, at_barrier = 0;
  int any = 0, all = 1, count = 0, result = 0;           // of the predicates at the barrier
  Thread* current = nullptr;
  std::vector<Fibre*> idle;
  ctx::fiber scheduler, *left_off = nullptr;             // who began the block; and where to keep the rest of whoever switches
  std::vector<Range> stacks;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> released;   // of earlier blocks: when they began, and what is seen of them
};
Block& block() {
  static Block& block = *new Block;
  return block;
}

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

void enter(Thread& t) {
  block().current = &t;
  here.thread = t.number;
  here.warp = &block().warps[t.number / 32];
  here.stack = t.fibre->stack;
  threadIdx = t.id;
}

std::uint16_t draw(std::vector<std::uint16_t>& from) {
  auto i = dice.below(from.size());
  auto drawn = from[i];
  from[i] = from.back();
  from.pop_back();
  return drawn;
}

/// Go on there; when somebody comes back, that is what `here` was for.
void switch_to(ctx::fiber& there, ctx::fiber& back) {
  auto& b = block();
  b.left_off = &back;
  auto rest = std::move(there).resume();
  *b.left_off = std::move(rest);
}

[[noreturn]] void stuck();
Fibre* idle_fibre();

/// To any thread that can go on. `back`: where the one that leaves will.
void switch_to_any(ctx::fiber& back) {
  auto& b = block();
  if (b.left == 0) return switch_to(b.scheduler, back);
  if (b.ready.empty() && b.fresh.empty()) stuck();
  bool is_fresh = b.ready.empty() || (!b.fresh.empty() && dice.one_in(2));
  auto& t = b.threads[draw(is_fresh ? b.fresh : b.ready)];
  if (is_fresh) t.fibre = idle_fibre();
  enter(t);
  switch_to(t.fibre->rest, back);
}

void wait(Waits where) {
  auto* t = block().current;
  t->waits = where;
  switch_to_any(t->fibre->rest);
}

void go_on(Thread& t) {
  t.waits = Waits::nowhere;
  if (&t != block().current) block().ready.push_back(static_cast<std::uint16_t>(t.number));
}

// ---------------------------------------------------------------- meetings of lanes

unsigned bit(unsigned thread) { return 1u << (thread % 32); }

bool is_complete(const Warp& warp, unsigned first, const Thread& t) {
  unsigned mask = t.together ? t.mask : t.mask & warp.present;           // a barrier of a warp does without those who returned
  if ((warp.waiting & mask) != mask) return false;
  for (unsigned m = mask; m; m &= m - 1) {
    const auto& other = block().threads[first + static_cast<unsigned>(std::countr_zero(m))];
    if (other.together != t.together || other.mask != t.mask) return false;
  }
  return true;
}

void note_meeting(Warp& warp, unsigned mask) {
  auto time = ++here.now;
  if ((mask & warp.present) == warp.present) {
    warp.met = time;
    return;
  }
  if (!warp.pairs) warp.pairs = std::make_unique<std::uint64_t[]>(32 * 32);
  auto* pairs = warp.pairs.get();
  std::uint64_t seen[32] = {};
  for (unsigned m = mask; m; m &= m - 1)
    for (int j = 0; j < 32; ++j) seen[j] = std::max(seen[j], pairs[std::countr_zero(m) * 32 + j]);
  for (unsigned m = mask; m; m &= m - 1) seen[std::countr_zero(m)] = time;
  for (unsigned m = mask; m; m &= m - 1) std::copy_n(seen, 32, pairs + std::countr_zero(m) * 32);
}

void complete(Warp& warp, unsigned first, Thread& t) {
  unsigned mask = t.mask & warp.present;
  void* lanes[32] = {};
  for (unsigned m = mask; m; m &= m - 1) {
    auto i = static_cast<unsigned>(std::countr_zero(m));
    lanes[i] = block().threads[first + i].data;
  }
  if (t.together) t.together(lanes, mask);
  note_meeting(warp, mask);
  warp.waiting &= ~mask;
  for (unsigned m = mask; m; m &= m - 1) go_on(block().threads[first + static_cast<unsigned>(std::countr_zero(m))]);
}

// ---------------------------------------------------------------- threads that end, or never do

void check_barrier() {
  auto& b = block();
  if (b.at_barrier == 0 || b.left == b.threads.size()) return;
  for (const auto& t : b.threads)
    if (t.waits == Waits::for_ever) fail("a barrier that thread %u never reaches: it has returned", t.number);
}

/// The current thread has returned.
void leave() {
  auto& b = block();
  auto& t = *b.current;
  auto& warp = b.warps[t.number / 32];
  unsigned first = t.number / 32 * 32;
  t.waits = Waits::for_ever;
  warp.present &= ~bit(t.number);
  --b.left;
  check_barrier();
  for (unsigned m = warp.waiting; m; m &= m - 1) {
    auto& other = b.threads[first + static_cast<unsigned>(std::countr_zero(m))];
    if (!(other.mask & bit(t.number))) continue;
    if (other.together) fail("returns, but thread %u waits for it in %s", other.number, other.name);
    if (other.waits == Waits::in_warp && is_complete(warp, first, other)) complete(warp, first, other);
  }
}

[[noreturn]] void stuck() {
  auto& b = block();
  auto where = [](const Thread& t) -> std::string {
    if (t.waits == Waits::at_barrier) return "waits at __syncthreads";
    char text[100];
    std::snprintf(text, sizeof text, "waits in %s with mask %#x", t.name, t.mask);
    return text;
  };
  const Thread* one = nullptr;
  for (const auto& t : b.threads)
    if (t.waits == Waits::in_warp && !one) one = &t;
  if (one) {
    enter(const_cast<Thread&>(*one));
    for (unsigned m = one->mask; m; m &= m - 1) {
      const auto& other = b.threads[one->number / 32 * 32 + static_cast<unsigned>(std::countr_zero(m))];
      if (other.waits == Waits::in_warp && other.together == one->together && other.mask == one->mask) continue;
      fail("%s for thread %u, which %s: a meeting that never happens", where(*one).c_str(), other.number, where(other).c_str());
    }
  }
  fail("waits for ever");
}

/// Not inlined: a fibre may go on in another thread of the process, which has another in_kernel.
__attribute__((noinline)) void body_of_thread() {
  auto& b = block();
  in_kernel = true;
  b.kernel->run(b.kernel->function, b.kernel->arguments);
  in_kernel = false;
  leave();
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
      while (!b.fresh.empty() && (b.ready.empty() || dice.one_in(2))) {       // the next one on the same stack
        auto& next = b.threads[draw(b.fresh)];
        next.fibre = f;
        enter(next);
        body_of_thread();
      }
      b.idle.push_back(f);
      switch_to_any(f->rest);
    }
    return std::move(b.scheduler);
  });
  b.stacks.push_back(f->stack);
  return f;
}

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
    switch_to_any(b.scheduler);                          // comes back when all threads have returned
    if (here.released) b.released.emplace_back(here.block_began, here.released);
  }
  is_launching = false;
  here.kernel = nullptr;
}

void meet(const char* name, Together together, unsigned mask, void* data) {
  auto& b = block();
  if (!in_kernel) fail("%s outside a kernel", name);
  Aside aside;
  auto& t = *b.current;
  auto& warp = b.warps[t.number / 32];
  unsigned first = t.number / 32 * 32;
  if (!(mask & bit(t.number))) fail("%s with mask %#x, in which its own lane %u is not", name, mask, t.number % 32);
  if (unsigned missing = mask & ~warp.present; together && missing)
    fail("%s with mask %#x, but lane %d %s", name, mask, std::countr_zero(missing), first + static_cast<unsigned>(std::countr_zero(missing)) < b.threads.size() ? "has returned" : "does not exist");
  t.name = name, t.together = together, t.mask = mask, t.data = data;
  warp.waiting |= bit(t.number);
  if (is_complete(warp, first, t)) complete(warp, first, t);
  else wait(Waits::in_warp);
}

void warp_barrier(unsigned mask) { meet("__syncwarp", nullptr, mask, nullptr); }

int block_barrier(Barrier kind, int predicate) {
  auto& b = block();
  if (!in_kernel) fail("a barrier outside a kernel");
  Aside aside;
  if (b.left != b.threads.size()) ++b.at_barrier, check_barrier();
  b.any |= predicate != 0, b.all &= predicate != 0, b.count += predicate != 0;
  if (++b.at_barrier < b.threads.size()) {
    wait(Waits::at_barrier);
  } else {
    here.block_met = ++here.now;
    b.result = b.any | b.all << 1 | b.count << 2;
    b.at_barrier = 0, b.any = 0, b.all = 1, b.count = 0;
    for (auto& t : b.threads) go_on(t);
  }
  int all = b.result;                                    // nobody can be at the next barrier before everybody has left this one's result
  return kind == Barrier::any ? all & 1 : kind == Barrier::all ? all >> 1 & 1 : kind == Barrier::count ? all >> 2 : 0;
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
