// The memory of a GPU: blocks that are asked of CUDA once, and handed out again in the order of a stream.
#pragma once
#include "tricycle/core/gpu.hpp"
#include "tricycle/core/memory.hpp"
#ifdef TRICYCLE_CUDA
#include <atomic>
#include <functional>

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace gpu {

class Pool;

/// How many steps are being captured, by any thread.
TRICYCLE_PROCESS_WIDE inline std::atomic<int>& captures() {
  static std::atomic<int> n = 0;
  return n;
}

/// A block of a GPU's memory, and the pool that it goes back to. `stream`: whose work may use it next without waiting.
struct Block {
  void* at = nullptr;
  std::size_t bytes = 0;
  cudaStream_t stream = nullptr;
  std::shared_ptr<Pool> pool;
};

/// The pool of a GPU, or of one captured step, whose blocks nobody else may have. What is freed is not awaited: work that
/// still uses a block was given to its stream before whatever uses it next. Safe to call from several threads.
class Pool : public std::enable_shared_from_this<Pool> {
 public:
  /// `captured`: of a captured step, whose recorded work may still want what is free now.
  explicit Pool(Device device, bool captured = false) : device_(device), captured_(captured) {}
  ~Pool() {
    for (void* one : slabs_) cudaFree(one);
    for (auto& [where, blocks] : free_)
      for (void* block : blocks)
        if (where.second >= small_classes) cudaFree(block);
  }

  /// The one that all share. Never destroyed, as tensors with static storage may be later.
  TRICYCLE_PROCESS_WIDE static const std::shared_ptr<Pool>& of(Device device) {
    static std::mutex mutex;
    static auto& pools = *new std::map<int, std::shared_ptr<Pool>>;
    std::lock_guard lock(mutex);
    auto& pool = pools[device.gpu];
    if (!pool) pool = std::make_shared<Pool>(device);
    return pool;
  }

  /// Throws when there is no memory, not even without what is cached here.
  Block take(std::size_t bytes, cudaStream_t stream) {
    int c = memory::size_class((std::max)(bytes, least));
    std::lock_guard lock(mutex_);
    auto& idle = free_[{stream, c}];
    if (idle.empty()) idle.push_back(c < small_classes ? cut(memory::class_bytes(c)) : from_system(memory::class_bytes(c), bytes));
    else cached_ -= memory::class_bytes(c);
    void* at = idle.back();
    idle.pop_back();
    held_ += memory::class_bytes(c);
#ifdef TRICYCLE_EMULATED
    emulator::remember(at, bytes, stream);               // it watches each tensor, not what we cut it from
#endif
    return {at, bytes, stream, shared_from_this()};
  }

  void give(const Block& block) noexcept {
    int c = memory::size_class((std::max)(block.bytes, least));
    wait_for_this_thread(block);
#ifdef TRICYCLE_EMULATED
    emulator::forget(block.at, block.bytes, block.stream);
#endif
    std::lock_guard lock(mutex_);
    free_[{block.stream, c}].push_back(block.at);
    held_ -= memory::class_bytes(c);
    cached_ += memory::class_bytes(c);
  }

  /// Give back to CUDA what no tensor holds, once all that uses it is done.
  void clear() {
    std::lock_guard lock(mutex_);
    Use on(device_);
    clear_all();
  }

  Device device() const { return device_; }
  /// Bytes that tensors hold now, and bytes that are kept for those to come.
  std::size_t held() const { return held_; }
  std::size_t cached() const { return cached_; }

 private:
  static constexpr std::size_t least = 256;              // bytes: what CUDA aligns to
  static constexpr int small_classes = 52;               // up to 1 MiB, cut from slabs, which never go back
  static constexpr std::size_t slab = 4 << 20;
  static_assert(memory::class_bytes(small_classes - 1) == 1 << 20);

  /// What another thread's stream has still to do with a block comes before its own stream uses it again.
  void wait_for_this_thread(const Block& block) noexcept {
    Context* here = known_context(device_);
    if (!here || here->stream == block.stream) return;
    int before = device_.gpu;
    cudaGetDevice(&before);
    cudaSetDevice(device_.gpu);
    cudaEvent_t done = nullptr;
    bool ordered = cudaEventCreateWithFlags(&done, cudaEventDisableTiming) == cudaSuccess && cudaEventRecord(done, here->stream) == cudaSuccess &&
                   cudaStreamWaitEvent(block.stream, done, 0) == cudaSuccess;
    if (!ordered) cudaStreamSynchronize(here->stream);
    if (done) cudaEventDestroy(done);
    cudaGetLastError();
    cudaSetDevice(before);
  }

  void* cut(std::size_t size) {
    size = (size + least - 1) / least * least;
    if (slab_left_ < size) {
      slab_at_ = static_cast<char*>(from_system(slab, size));
      slab_left_ = slab;
      slabs_.push_back(slab_at_);
    }
    slab_left_ -= size;
    return std::exchange(slab_at_, slab_at_ + size);
  }

  void* from_system(std::size_t size, std::size_t asked) {
    Use on(device_);
    void* block = nullptr;
    auto status = cudaMalloc(&block, size);
    if (status == cudaErrorMemoryAllocation && !captured_) {
      cudaGetLastError();
      clear_all();
      status = cudaMalloc(&block, size);
    }
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      std::size_t left = 0, all = 0;
      cudaMemGetInfo(&left, &all);
      fail("storage: out of memory on ", device_, ": ", asked, " bytes were asked for, ", held_, " are held by tensors, ", cached_, " are kept for later, and ", left, " of ", all, " are free");
    }
    check(status, "cudaMalloc of ", size, " bytes");
    return block;
  }

  void clear_all() {
    if (captures() > 0 || cudaDeviceSynchronize() != cudaSuccess) {        // while a stream captures nothing may be waited for, nor freed
      cudaGetLastError();
      return;
    }
    for (auto& [where, blocks] : free_) {
      if (where.second < small_classes) continue;
      for (void* block : blocks) cudaFree(block);
      cached_ -= blocks.size() * memory::class_bytes(where.second);
      blocks.clear();
    }
  }

  std::mutex mutex_;
  Device device_;
  bool captured_;
  std::map<std::pair<cudaStream_t, int>, std::vector<void*>> free_;
  std::vector<void*> slabs_;
  char* slab_at_ = nullptr;
  std::size_t slab_left_ = 0, held_ = 0, cached_ = 0;
};

/// What is done on a GPU while a step is captured is kept, and done again at each of its runs (kernel/capture.hpp).
struct Capture {
  std::shared_ptr<Pool> pool;                            // of all that is made meanwhile
  std::vector<std::shared_ptr<void>> kept;               // what the step reads, wherever it came from

  /// What writes a number on the host, and where that goes: all of them travel together before each run.
  struct Feed {
    std::size_t offset;
    std::function<void(void*)> write;
  };
  static constexpr std::size_t feed_bytes = 64 << 10;
  char* fed = nullptr;                                   // on the GPU
  std::size_t fed_bytes = 0;
  std::vector<Feed> feeds;

  /// Where on the GPU a number will be that `write` works out before each run.
  const void* feed(std::size_t bytes, std::function<void(void*)> write) {
    constexpr std::size_t together = 16;
    std::size_t offset = fed_bytes;
    fed_bytes += (bytes + together - 1) / together * together;
    tricycle::check(fed_bytes <= feed_bytes, "cuda: a captured step has more than ", feed_bytes, " bytes of numbers that change between its runs");
    feeds.push_back({offset, std::move(write)});
    return fed + offset;
  }
};

/// Throws when there is no memory. To be given back with release().
inline Block allocate(std::size_t bytes, Device device) {
  Context& here = context(device);
  const auto& pool = here.capture ? here.capture->pool : Pool::of(device);
  return pool->take(bytes, here.stream);
}

inline void release(Block block) noexcept {
  Context* here = known_context(block.pool->device());
  // A captured step that has read a block reads it again at every run: nobody else may have it.
  if (here && here->capture && here->capture->pool != block.pool)
    here->capture->kept.push_back(std::shared_ptr<void>(block.at, [block](void*) { block.pool->give(block); }));
  else block.pool->give(block);
}

/// Working memory of some kernels, uninitialised.
template <class T>
class Scratch {
 public:
  Scratch(Index size, Device device) : block_(allocate(static_cast<std::size_t>(size) * sizeof(T), device)) {}
  ~Scratch() { release(std::move(block_)); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  T* data() const { return static_cast<T*>(block_.at); }

 private:
  Block block_;
};

}  // namespace gpu
}
}  // namespace tricycle
#endif
