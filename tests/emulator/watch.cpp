// Each access of a kernel: is the memory its own, allocated, written, and does no other thread use it at the same time?
#include "watch.hpp"
#include <algorithm>
#include "fibres.hpp"
#include "report.hpp"

namespace emulator {

constinit Here here;
constinit thread_local bool in_kernel = false, is_launching = false;

namespace {

const char* verb(Access access) { return access == Access::read ? "reads" : access == Access::write ? "writes" : "atomically updates"; }

std::string place(std::uintptr_t p) {
  if (!here.statics.holds(p)) return describe(p);
  for (const auto& s : local_statics())
    if (p - s.low < s.high - s.low) return "byte " + std::to_string(p - s.low) + " of the shared variable " + last_name(s.name);
  return describe(p);
}

// ---------------------------------------------------------------- races

bool conflict(Access a, Access b) { return a != b || a == Access::write; }

[[noreturn]] void race(std::uintptr_t p, Mark old, Access access) {
  const char* what = old.access() == Access::read ? "read" : old.access() == Access::write ? "wrote" : "atomically updated";
  if (old.time() < here.block_began) fail("%s %s, which a thread of another block %s: nothing orders the two", verb(access), place(p).c_str(), what);
  fail("%s %s, which thread %u of the block %s: no barrier is between the two", verb(access), place(p).c_str(), old.thread(), what);
}

/// Whether what `old` did is seen here, and done.
bool ordered(Mark old) {
  if (old.time() >= here.block_began) return old.time() < here.block_met || met_in_warp(old.thread(), old.time());
  return here.acquired && was_released(old.time());
}

/// The mark is of memory that others may have used as well, and does not say when it is too old to matter.
class Word {
 public:
  Word(const Region& region, std::uint64_t* newest, std::uintptr_t p, unsigned bytes, Access access, std::uint64_t since)
      : newest_(newest), older_(region.older(newest)), p_(p), bytes_(bytes), access_(access), since_(since) {}

  /// Compare the access with those that left a mark, and leave one.
  void mark() {
    const auto mine = mark_of(bytes_, access_).bits;
    Mark last{*newest_};
    if ((last.bits & ~Mark::has_older) == mine) return;
    if (last.bits < since_) {
      *newest_ = mine;
      return;
    }
    bool has_older = last.bits & Mark::has_older, keeps = !is_covered(last);
    check(last);
    if (has_older)
      for (int i = 0; i < Region::older_each; ++i) check({older_[i]});
    else if (keeps) std::memset(older_, 0, Region::older_each * sizeof *older_);
    if (keeps) older_[place(mine)] = last.bits & ~Mark::has_older;
    *newest_ = mine | (has_older || keeps ? Mark::has_older : 0);
  }

 private:
  static bool is_own(Mark old) { return old.thread() == here.thread && old.time() >= here.block_began; }

  /// Whoever conflicts with the old access conflicts with this one.
  bool is_covered(Mark old) const { return is_own(old) && !(old.bytes() & ~bytes_) && (old.access() == access_ || access_ == Access::write); }

  void check(Mark old) const {
    if (old.bits < since_ || is_own(old) || !(old.bytes() & bytes_) || !conflict(old.access(), access_) || ordered(old)) return;
    race(p_ + static_cast<unsigned>(std::countr_zero(old.bytes() & bytes_)), old, access_);
  }

  /// Of the older marks, the one that can go best: it is too old, or covered, or behind a barrier, or it has bad luck.
  int place(std::uint64_t mine) const {
    int behind = -1;
    for (int i = 0; i < Region::older_each; ++i) {
      Mark old{older_[i]};
      if (old.bits < since_ || is_covered(old)) return i;
      if (old.time() < here.block_met && old.time() >= here.block_began) behind = i;
    }
    return behind >= 0 ? behind : static_cast<int>((mine * 0x9e3779b97f4a7c15u) >> 62) % Region::older_each;
  }

  std::uint64_t *newest_, *older_;
  std::uintptr_t p_;
  unsigned bytes_;
  Access access_;
  std::uint64_t since_;
};

void mark_all(const Region& region, std::uintptr_t p, std::size_t bytes, Access access, std::uint64_t since) {
  auto* marks = region.mark(p);
  std::uintptr_t word = p & ~std::uintptr_t(3), end = p + bytes;
  for (; word < end; word += 4, ++marks) {
    unsigned mask = 15;
    if (word < p) mask &= 15u << (p - word);
    if (word + 4 > end) mask &= 15u >> (word + 4 - end);
    Word(region, marks, word, mask & 15, access, since).mark();
  }
}

// ---------------------------------------------------------------- states

template <class T>
bool all_written(const std::uint8_t* states) {
  T bits;
  std::memcpy(&bits, states, sizeof bits);
  return bits == static_cast<T>(0x0101010101010101u);
}

bool all_written(const std::uint8_t* states, std::size_t bytes) {
  switch (bytes) {
    case 1: return *states == written;
    case 2: return all_written<std::uint16_t>(states);
    case 4: return all_written<std::uint32_t>(states);
    case 8: return all_written<std::uint64_t>(states);
    case 16: return all_written<std::uint64_t>(states) && all_written<std::uint64_t>(states + 8);
    default: return std::all_of(states, states + bytes, [](std::uint8_t s) { return s == written; });
  }
}

/// Not all bytes are known to be written: say why that is wrong, or note that they are now. `live`: do these exist?
template <class Live>
void change_states(std::uint8_t* states, std::uintptr_t p, std::size_t bytes, Access access, Live live) {
  const bool all_live = live(p, bytes);
  for (std::size_t i = 0; i < bytes; ++i) {
    if (states[i] == written) continue;
    if (states[i] == forgotten || (!all_live && !live(p + i, 1))) fail("%s %zu bytes, of them %s", verb(access), bytes, place(p + i).c_str());
    if (access != Access::write) fail("%s %zu bytes, of them %s, which nothing has written", verb(access), bytes, place(p + i).c_str());
  }
  std::memset(states, written, bytes);
}

auto in(Range range) {
  return [range](std::uintptr_t p, std::size_t bytes) { return range.holds(p) && range.holds(p + bytes - 1); };
}

// ---------------------------------------------------------------- the kinds of memory

void touch_static(std::uintptr_t p) {
  auto& all = local_statics();
  auto at = std::upper_bound(all.begin(), all.end(), p, [](std::uintptr_t address, const LocalStatic& s) { return address < s.low; });
  if (at == all.begin() || p >= std::prev(at)->high) {
    if (all.empty()) {                                   // a stripped program: believe that it is a shared variable
      here.statics = program_data;
      return;
    }
    fail("touches a variable of the host's at %p", reinterpret_cast<void*>(p));
  }
  auto& found = *std::prev(at);
  if (found.block != here.block) {
    found.block = here.block;
    std::memset(program_data.state(found.low), untouched, found.high - found.low);
  }
  here.statics = {found.low, found.high - found.low};
}

/// threadIdx and the like, through a reference.
bool is_built_in(std::uintptr_t p) {
  for (const auto* v : {&threadIdx, &blockIdx, &blockDim, &gridDim})
    if (p - reinterpret_cast<std::uintptr_t>(v) < sizeof *v) return true;
  return false;
}

bool is_constant(std::uintptr_t p) {
  for (const auto& s : constant_segments())
    if (p - s.low < s.high - s.low) return true;
  return false;
}

[[noreturn]] void refuse(std::uintptr_t p, std::size_t bytes, Access access) {
  int device = device_of(p);
  if (device >= 0) fail("%s memory of GPU %d, but runs on GPU %d", verb(access), device, here.device_number);
  if (space.size && pinned_range().holds(p)) fail("%s %zu bytes of host memory: %s", verb(access), bytes, describe(p).c_str());
  if (shared_range().holds(p)) fail("%s %zu bytes, of them %s", verb(access), bytes, describe(p).c_str());
  if (is_fibre_stack(p)) fail("%s %zu bytes on another thread's stack, at %p", verb(access), bytes, reinterpret_cast<void*>(p));
  if (here.stack.low - p <= 1 << 20) fail("has more on its stack than the %zu bytes that there are", here.stack.size);
  fail("%s %zu bytes of host memory at %p", verb(access), bytes, reinterpret_cast<void*>(p));
}

}  // namespace

void kernel_access(std::uintptr_t p, std::size_t bytes, Access access) {
  Aside aside;
  if (bytes == 0) return;
  if (here.device.holds(p)) {
    auto* states = space.state(p);
    if (!all_written(states, bytes)) change_states(states, p, bytes, access, is_live);
    mark_all(space, p, bytes, access, here.launch_began << 24);
  } else if (here.shared.holds(p)) {
    auto* states = space.state(p);
    if (!all_written(states, bytes)) change_states(states, p, bytes, access, in(here.shared));
    mark_all(space, p, bytes, access, here.block_began << 24);
  } else if (program_data.holds(p) && !is_constant(p)) {
    if (access == Access::read && is_built_in(p)) return;
    if (!here.statics.holds(p)) touch_static(p);
    auto* states = program_data.state(p);
    if (!all_written(states, bytes)) change_states(states, p, bytes, access, in(here.statics));
    mark_all(program_data, p, bytes, access, here.block_began << 24);
  } else if (access != Access::read || !(here.arguments.holds(p) || is_constant(p))) {
    refuse(p, bytes, access);
  }
}

void forget_shared() {
  here.statics = {};
  if (here.shared.size) std::memset(space.state(here.shared.low), untouched, here.shared.size);
}

void host_access(std::uintptr_t p, std::size_t bytes, Access access) {
  if (device_of(p) >= 0) fail("the host %s device memory: %s", verb(access), describe(p).c_str());
  if (!pinned_range().holds(p)) fail("the host %s a kernel's shared memory", verb(access));
  if (!is_live(p, bytes)) fail("the host %s %zu bytes, of them %s", verb(access), bytes, describe_dead(p, bytes).c_str());
  pinned_access(p, bytes, access != Access::read);
}

void misaligned(const volatile void* p, std::size_t bytes, Access access) {
  Aside aside;
  fail("%s %zu bytes at once at %s, an address that is no multiple", verb(access), bytes, place(reinterpret_cast<std::uintptr_t>(p)).c_str());
}

void wide_access(const void* p, std::size_t bytes, bool write) { watch_aligned(p, bytes, bytes, write ? Access::write : Access::read); }

void atomic_access(const void* p, std::size_t bytes) {
  here.acquired = true;
  watch_aligned(p, bytes, bytes, Access::atomic);
}

}  // namespace emulator
