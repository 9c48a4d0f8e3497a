// Numbers to a GPU, from it, and between two. What goes there is not waited for; what is read back is.
#pragma once
#include <cstring>
#include "tricycle/core/gpu_memory.hpp"
#ifdef TRICYCLE_CUDA

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace gpu {
namespace detail {

/// A piece of the host's memory that a GPU can read and write by itself, and when it last had to.
struct Pinned {
  void* at = nullptr;
  std::size_t bytes = 0;
  cudaEvent_t used = nullptr;

  explicit Pinned(std::size_t n) : bytes(n) {
    check(cudaMallocHost(&at, n), "cudaMallocHost of ", n, " bytes");
    check(cudaEventCreateWithFlags(&used, cudaEventDisableTiming), "cudaEventCreate");
  }
  ~Pinned() {
    cudaEventDestroy(used);
    cudaFreeHost(at);
  }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;
};

/// The pinned pieces of a context, used in turn.
class Staging {
 public:
  static constexpr std::size_t largest = 4 << 20;        // bytes of a piece

  /// One of at least so many bytes that the GPU is done with. A host that is far ahead waits for the one it used first.
  Pinned& get(std::size_t bytes) {
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
      Pinned& piece = *pieces_[(oldest_ + i) % pieces_.size()];
      if (piece.bytes < bytes) continue;
      auto status = pieces_.size() < most ? cudaEventQuery(piece.used) : cudaEventSynchronize(piece.used);
      if (status != cudaErrorNotReady) {
        check(status, "waiting for numbers on their way");
        oldest_ = (oldest_ + i + 1) % pieces_.size();
        return piece;
      }
    }
    cudaGetLastError();                                  // "not ready" is no error
    pieces_.push_back(std::make_unique<Pinned>((std::max)(bytes, std::size_t{4096})));
    return *pieces_.back();
  }

  static Staging& of(Context& context) {
    if (!context.staging) context.staging = std::make_shared<Staging>();
    return *static_cast<Staging*>(context.staging.get());
  }

 private:
  static constexpr std::size_t most = 64;                // some 20 steps' worth
  std::vector<std::unique_ptr<Pinned>> pieces_;
  std::size_t oldest_ = 0;
};

/// f(offset, size) for pieces that staging can hold.
template <class F>
void in_pieces(std::size_t bytes, F f) {
  for (std::size_t at = 0; at < bytes; at += Staging::largest) f(at, (std::min)(Staging::largest, bytes - at));
}

}  // namespace detail

/// Throw what the alarm says, if it was raised; it is then off again.
inline void check_alarm(const Alarm& said, Context& here) {
  if (!said.raised) return;
  cudaMemsetAsync(&here.alarm->raised, 0, sizeof said.raised, here.stream);
  if (said.limit > 0)
    fail(said.op, ": id ", said.id, " at position ", said.position, " is not below ", said.limit, " (found on ", here.device, " after ", said.step, " updates)");
  fail(said.op, ": the numbers are not finite (found on ", here.device, " after ", said.step, " updates)");
}

/// Copy from the host. The source may be changed or freed at once.
inline void upload(void* to, const void* from, std::size_t bytes, Device device) {
  if (bytes == 0) return;
  Context& here = context(device);
  Use on(device);
  if (here.capture) {                                    // the same numbers at every run: they are kept
    auto piece = std::make_shared<detail::Pinned>(bytes);
    std::memcpy(piece->at, from, bytes);
    here.capture->kept.push_back(piece);
    return check(cudaMemcpyAsync(to, piece->at, bytes, cudaMemcpyHostToDevice, here.stream), "copying ", bytes, " bytes to ", device);
  }
  detail::in_pieces(bytes, [&](std::size_t at, std::size_t size) {
    auto& staging = detail::Staging::of(here).get(size);
    std::memcpy(staging.at, static_cast<const char*>(from) + at, size);
    check(cudaMemcpyAsync(static_cast<char*>(to) + at, staging.at, size, cudaMemcpyHostToDevice, here.stream), "copying ", bytes, " bytes to ", device);
    check(cudaEventRecord(staging.used, here.stream), "cudaEventRecord");
  });
}

/// Copy to the host, when all that came before is done. Throws what a kernel has found wrong.
inline void download(void* to, const void* from, std::size_t bytes, Device device) {
  Context& here = context(device);
  Use on(device);
  tricycle::check(!here.capture, "cuda: nothing can be waited for, or read back, while a step is captured");
  auto read = [&](std::size_t at, std::size_t size) {    // with the alarm in front
    auto& staging = detail::Staging::of(here).get(sizeof(Alarm) + size);
    char* numbers = static_cast<char*>(staging.at) + sizeof(Alarm);
    check(cudaMemcpyAsync(staging.at, here.alarm, sizeof(Alarm), cudaMemcpyDeviceToHost, here.stream), "reading the alarm");
    if (size > 0) check(cudaMemcpyAsync(numbers, static_cast<const char*>(from) + at, size, cudaMemcpyDeviceToHost, here.stream), "copying ", bytes, " bytes from ", device);
    check(cudaEventRecord(staging.used, here.stream), "cudaEventRecord");
    check(cudaStreamSynchronize(here.stream), "waiting for ", device);
    Alarm said;
    std::memcpy(static_cast<void*>(&said), staging.at, sizeof said);
    check_alarm(said, here);
    if (size > 0) std::memcpy(static_cast<char*>(to) + at, numbers, size);
  };
  if (bytes == 0) read(0, 0);
  detail::in_pieces(bytes, read);
}

/// Wait until this thread's work on a GPU is done. Throws what a kernel has found wrong: an id out of range, a gradient that
/// is not finite.
inline void synchronise(Device device) {
  if (!device.is_cpu()) download(nullptr, nullptr, 0, device);
}

/// Copy within a GPU, or from another one. What either does next comes after it.
inline void copy_across(void* to, Device there, const void* from, Device here, std::size_t bytes) {
  if (bytes == 0) return;
  auto after = [](Device first, Device then) {           // `then` waits for `first`
    if (first == then) return;
    cudaEvent_t done;
    Use on(first);
    check(cudaEventCreateWithFlags(&done, cudaEventDisableTiming), "cudaEventCreate");
    check(cudaEventRecord(done, stream(first)), "cudaEventRecord");
    check(cudaStreamWaitEvent(stream(then), done, 0), "cudaStreamWaitEvent");
    check(cudaEventDestroy(done), "cudaEventDestroy");
  };
  after(here, there);
  {
    Use on(there);
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream(there)), "copying ", bytes, " bytes from ", here, " to ", there);
  }
  after(there, here);
}

}  // namespace gpu
}
}  // namespace tricycle
#endif
