// The threads of a block: each is a fibre if it must wait for others, and an ordinary call if not.
#pragma once
#include <cstddef>
#include <cstdint>
#include "here.hpp"

namespace emulator {

/// All of the grid's blocks, one after another in random order.
void run_kernel(const Kernel& kernel, dim3 grid, dim3 block, std::size_t shared, int device);

/// What lanes of a warp do together: each brings its data; the last one to come does it for all. `lanes[i]` is lane i's data.
using Together = void (*)(void* const* lanes, unsigned mask);
void meet(const char* name, Together, unsigned mask, void* data);

/// Whether this thread and that one of the same warp have met since that time.
bool met_in_warp(unsigned thread, std::uint64_t time);
/// Whether the block that wrote at that time, an earlier one of this launch, then told the others so by a fence and an atomic.
bool was_released(std::uint64_t time);
bool is_fibre_stack(std::uintptr_t p);
int lane();

}  // namespace emulator
