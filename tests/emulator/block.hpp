// The block that runs: its threads, who waits for whom, and how one goes on where another left off.
#pragma once
#include <boost/context/fiber.hpp>
#include <memory>
#include <vector>
#include "fibres.hpp"
#include "report.hpp"

namespace emulator {

namespace ctx = boost::context;

enum class Waits : std::uint8_t { nowhere, in_warp, at_barrier, for_ever };   // for ever: it has returned

struct Fibre {
  Range stack;
  ctx::fiber rest;                                       // what it will do when it goes on
};

/// A copy that a thread has begun and not yet waited for.
struct Copy {
  void* to;
  const void* from;                                      // null: 0 comes
  int bytes;
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
  std::vector<Copy> copies;
};

struct Warp {
  unsigned present = 0, waiting = 0;                     // lanes that have not returned, and those that wait for others of the warp
  std::uint64_t met = 0;                                 // when all of them met last
  std::unique_ptr<std::uint64_t[]> pairs;                // when two lanes met last, if some have met without the others
};

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
extern constinit Block* the_block;                       // from the first launch on
inline Block& block() { return *the_block; }

// ---------------------------------------------------------------- fibres.cpp

/// That thread is the current one from now on.
void enter(Thread& t);
/// Any thread that can go on, or begin: then it has no fibre yet.
Thread& any_thread();
Fibre* idle_fibre();

// ---------------------------------------------------------------- meetings.cpp

/// The current thread has returned.
void leave();
/// No thread can go on, and some have not returned: say why.
[[noreturn]] void stuck();

// ---------------------------------------------------------------- from one to another

/// Go on there, until somebody goes on with `back`. Inlined, as each return that a processor cannot foresee costs as much as the switch.
[[gnu::always_inline]] inline void switch_to(ctx::fiber& there, ctx::fiber& back) {
  auto& b = block();
  b.left_off = &back;
  auto rest = std::move(there).resume();
  *b.left_off = std::move(rest);
}

[[gnu::always_inline]] inline void wait(Waits where) {
  auto* t = block().current;
  t->waits = where;
  auto& next = any_thread();
  if (!next.fibre) next.fibre = idle_fibre();
  enter(next);
  switch_to(next.fibre->rest, t->fibre->rest);
}

}  // namespace emulator
