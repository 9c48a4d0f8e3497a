// How the emulator ends a process that did wrong, the names that it says then, and its random numbers.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace emulator {

/// Say "emulator: WHERE: what" on stderr, where WHERE is the running kernel's thread if there is one, and exit with 86.
[[noreturn]] __attribute__((format(printf, 1, 2))) void fail(const char* what, ...);

/// The function's name as one writes it, or its address.
std::string name_of(const void* function);

/// The last part of a name that the linker knows: "x" for a variable x of whatever function.
std::string last_name(const std::string& mangled);

/// A variable of the program that is local to a function: what `__shared__` declares.
struct LocalStatic {
  std::uintptr_t low = 0, high = 0;
  std::string name;
  std::uint64_t block = 0;                               // that touched it last
};
/// In the order of their addresses; empty if the program was stripped.
std::vector<LocalStatic>& local_statics();

/// A part of the program's own memory.
struct Segment { std::uintptr_t low, high; };
const std::vector<Segment>& constant_segments();
const Segment& writable_segment();

/// SplitMix64: small, and good enough to shuffle with.
class Random {
 public:
  constexpr explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t operator()() {
    std::uint64_t x = state_ += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
  }
  /// One of 0 … n - 1.
  unsigned below(std::size_t n) { return static_cast<unsigned>(((*this)() >> 32) * n >> 32); }
  bool one_in(unsigned n) { return below(n) == 0; }

 private:
  std::uint64_t state_;
};
extern Random dice;

}  // namespace emulator
