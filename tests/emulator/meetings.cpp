// Barriers, and what lanes of a warp do together: who has come, who is missing, and who never will.
#include <algorithm>
#include <bit>
#include <cstdio>
#include <string>
#include "block.hpp"

namespace emulator {

namespace {

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

}  // namespace

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

void stuck() {
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

void meet(const char* name, Together together, unsigned mask, void* data) {
  auto& b = block();
  if (!in_kernel) fail("%s outside a kernel", name);
  Aside aside;
  auto& t = *b.current;
  auto& warp = b.warps[t.number / 32];
  unsigned first = t.number / 32 * 32;
  if (!(mask & bit(t.number))) fail("%s with mask %#x, in which its own lane %u is not", name, mask, t.number % 32);
  if (unsigned missing = mask & ~warp.present; together && missing) {
    auto lane = static_cast<unsigned>(std::countr_zero(missing));
    fail("%s with mask %#x, but lane %u %s", name, mask, lane, first + lane < b.threads.size() ? "has returned" : "does not exist");
  }
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

}  // namespace emulator
