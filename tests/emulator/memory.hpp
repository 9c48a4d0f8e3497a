// The memory of the emulated GPUs: addresses that only kernels may touch, what is allocated there, and which bytes are written.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include "here.hpp"

namespace emulator {

inline constexpr int max_devices = 2;
inline constexpr std::size_t device_bytes = std::size_t(8) << 30, pinned_bytes = std::size_t(2) << 30, shared_bytes = 232448;

/// What is known about a byte.
enum State : std::uint8_t { untouched, written, forgotten };

/// A range of addresses with, for each byte, its state, and for each four of them the marks that accesses left: the last one,
/// and, in a place that is seldom needed, some before it.
struct Region : Range {
  std::uint8_t* states = nullptr;
  std::uint64_t *marks = nullptr, *older_marks = nullptr;
  std::uint8_t* state(std::uintptr_t p) const { return states + (p - low); }
  std::uint64_t* mark(std::uintptr_t p) const { return marks + (p - low) / 4; }
  std::uint64_t* older(const std::uint64_t* mark) const { return older_marks + (mark - marks) * older_each; }
  static constexpr int older_each = 4;
};
extern constinit Region space;                           // GPU 0, GPU 1, pinned host memory, dynamic shared memory
extern constinit Region program_data;                    // for __shared__ variables

/// Called by whatever allocates first, and by launches.
void prepare();

Range device_range(int device);
Range pinned_range();
Range shared_range();
/// The number of the GPU whose memory this is in, or -1.
int device_of(std::uintptr_t p);

/// Null if there is no room. Blocks are apart, so that a small overrun touches nobody's memory.
void* allocate_device(int device, std::size_t bytes);
void* allocate_pinned(std::size_t bytes);
/// False if p is not the beginning of a live block of that kind.
bool release_device(void* p);
bool release_pinned(void* p);
std::size_t memory_used(int device);
std::size_t memory_limit();
bool is_live(std::uintptr_t p, std::size_t bytes);
/// If not all of it is live: describe() a byte that is not.
std::string describe_dead(std::uintptr_t p, std::size_t bytes);
/// The number of the live block that this is in, or 0.
std::uint64_t block_number(std::uintptr_t p);
/// An allocator has handed this out: of the rest of the block nothing may be touched that it has not handed out too.
void take_piece(std::uintptr_t p, std::size_t bytes);

/// "byte 3 of an allocation of 8 bytes" and the like.
std::string describe(std::uintptr_t p);

/// Device memory can be touched as long as one of these lives.
class Open {
 public:
  Open();
  ~Open();
  Open(const Open&) = delete;
};
/// Inside an Open, while the host's own code runs.
class Closed {
 public:
  Closed();
  ~Closed();
  Closed(const Closed&) = delete;
};

/// What the copy engines and the matrix products do: all bytes are allocated (and, to be read, written), or the process ends.
void check_read(const void* p, std::size_t bytes, const char* who);
void check_write(const void* p, std::size_t bytes, const char* who);

}  // namespace emulator
