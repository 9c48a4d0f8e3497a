// What is checked when a kernel or the host loads or stores: the compiler reports each access to `watch`.
#pragma once
#include <cstring>
#include "memory.hpp"

namespace emulator {

enum class Access : unsigned { read, write, atomic };

/// One access that was: when (40 bits), which thread of its block (10), which bytes of the word (4), which kind (2), and whether
/// older ones are kept elsewhere.
struct Mark {
  std::uint64_t bits;
  static constexpr std::uint64_t has_older = 1;
  std::uint64_t time() const { return bits >> 24; }
  unsigned thread() const { return unsigned(bits >> 14) & 1023; }
  unsigned bytes() const { return unsigned(bits >> 10) & 15; }
  Access access() const { return Access(unsigned(bits >> 8) & 3); }
};

inline Mark mark_of(unsigned bytes, Access access) {
  return {here.now << 24 | std::uint64_t(here.thread) << 14 | std::uint64_t(bytes) << 10 | std::uint64_t(access) << 8};
}

/// The host's access to device or pinned memory.
void host_access(std::uintptr_t p, std::size_t bytes, Access);
/// A kernel's, to anything but its stack.
void kernel_access(std::uintptr_t p, std::size_t bytes, Access);
/// A new block, whose shared memory holds nothing.
void forget_shared();
/// The streams' part of the host's access to pinned memory: is a copy under way there?
void pinned_access(std::uintptr_t p, std::size_t bytes, bool write);

/// The usual case of a kernel's access: to memory that is written, in words that nobody has touched before in this launch, or
/// this thread just now. True if it is that case, and all is done.
inline bool is_usual(std::uintptr_t p, std::size_t bytes, Access access) {
  std::uint64_t since = here.launch_began << 24;
  if (!here.device.holds(p)) {
    if (!here.shared.holds(p)) return false;
    since = here.block_began << 24;
  }
  constexpr std::uint64_t ones = 0x0101010101010101u;    // eight times `written`
  const auto* states = space.state(p);
  auto* marks = space.mark(p);
  auto same = [&](auto first) { return std::memcpy(&first, states, sizeof first), first == static_cast<decltype(first)>(ones); };
  auto mark = [&](int words, unsigned mask) {
    const auto mine = mark_of(mask, access).bits;
    bool usual = true;
    for (int i = 0; i < words; ++i) usual = usual && (marks[i] < since || marks[i] == mine);
    if (usual)
      for (int i = 0; i < words; ++i) marks[i] = mine;
    return usual;
  };
  switch (bytes) {
    case 1: return *states == written && mark(1, 1u << (p & 3));
    case 2: return p % 2 == 0 && same(std::uint16_t()) && mark(1, 3u << (p & 3));
    case 4: return p % 4 == 0 && same(std::uint32_t()) && mark(1, 15);
    case 8: return p % 4 == 0 && same(std::uint64_t()) && mark(2, 15);
    case 16: case 32: {
      if (p % 4) return false;
      for (std::size_t i = 0; i < bytes; i += 8, states += 8)
        if (!same(std::uint64_t())) return false;
      return mark(static_cast<int>(bytes / 4), 15);
    }
    default: return false;
  }
}

inline void watch(const volatile void* address, std::size_t bytes, Access access) {
  auto p = reinterpret_cast<std::uintptr_t>(address);
  if (!in_kernel) [[likely]] {
    if (p - space.low < space.size) [[unlikely]] host_access(p, bytes, access);
  } else if (!here.stack.holds(p) && !is_usual(p, bytes, access)) {
    kernel_access(p, bytes, access);
  }
}

[[noreturn]] void misaligned(const volatile void* p, std::size_t bytes, Access);

/// A load or store that the machine does at once, so that its address must be a multiple.
inline void watch_aligned(const volatile void* p, std::size_t bytes, std::size_t alignment, Access access) {
  if (in_kernel && reinterpret_cast<std::uintptr_t>(p) % alignment) misaligned(p, bytes, access);
  watch(p, bytes, access);
}

}  // namespace emulator
