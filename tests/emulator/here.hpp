// Where the emulator is: the thread of the kernel that runs now, and what it may touch. Kernels run one at a time, so there is one.
#pragma once
#define TRICYCLE_EMULATOR_ITSELF
#include "cuda_runtime.h"

extern uint3 threadIdx, blockIdx, blockDim, gridDim;

namespace emulator {

struct Warp;

/// Addresses [low, low + size).
struct Range {
  std::uintptr_t low = 0;
  std::size_t size = 0;
  bool holds(std::uintptr_t p) const { return p - low < size; }
};

/// Time counts the moments at which threads meet. What happened before one is older than what happens after it.
struct Here {
  Range stack, device, shared, arguments, statics;       // statics: the __shared__ variable that was touched last
  std::uint64_t now = 1, launch_began = 1, block_began = 1, block_met = 1;
  Warp* warp = nullptr;
  unsigned thread = 0;                                   // its number in the block
  std::uint64_t block = 0;                               // a number that no other block of the process has
  const void* kernel = nullptr;
  int device_number = 0;
  bool acquired = false;                                 // the block has seen an atomic or a fence
  std::uint64_t released = 0;                            // what it wrote before then is for other blocks to read
};
extern constinit Here here;

/// Whether this thread of the process runs a kernel's own code now; and whether a kernel is not done yet, wherever it is.
extern constinit thread_local bool in_kernel, is_launching;

/// While one of these lives, the emulator's own code runs on behalf of a kernel. What of it comes from templates may have been
/// compiled to be watched, as the linker keeps one copy of each; it is not looked at.
class Aside {
 public:
  Aside() : was_(in_kernel) { in_kernel = false; }
  ~Aside() { in_kernel = was_; }
  Aside(const Aside&) = delete;
  Aside& operator=(const Aside&) = delete;

 private:
  bool was_;
};

}  // namespace emulator
