// CUDA's runtime API: memory, and copies of it.
#include <algorithm>
#include <memory>
#include <vector>
#include "memory.hpp"
#include "report.hpp"
#include "streams.hpp"

using namespace emulator;
using Lock = std::lock_guard<std::recursive_mutex>;

namespace {

std::uintptr_t number(const void* p) { return reinterpret_cast<std::uintptr_t>(p); }

cudaError_t begin() {
  if (device_count() == 0) return cudaErrorNoDevice;
  prepare();
  return cudaSuccess;
}

bool on_device(const void* p) { return device_of(number(p)) >= 0; }
bool is_pinned(const void* p) { return pinned_range().holds(number(p)); }

void check_pinned(const void* p, std::size_t bytes) {
  if (is_pinned(p) && !is_live(number(p), bytes)) fail("a copy touches host memory, of it %s", describe_dead(number(p), bytes).c_str());
}

/// What a copy does when its time comes. Between GPUs' memories it takes along what is known of each byte.
void copy(void* to, const void* from, std::size_t bytes) {
  check_pinned(to, bytes), check_pinned(from, bytes);
  if (on_device(to) && on_device(from)) {
    for (const void* p : {static_cast<const void*>(to), from}) {
      if (!is_live(number(p), bytes)) fail("a copy of %zu bytes touches %s", bytes, describe_dead(number(p), bytes).c_str());
      const auto *states = space.state(number(p)), *bad = std::find(states, states + bytes, forgotten);
      if (bad != states + bytes) fail("a copy touches %s", describe(number(p) + static_cast<std::size_t>(bad - states)).c_str());
    }
    std::memmove(to, from, bytes);
    std::memmove(space.state(number(to)), space.state(number(from)), bytes);
    return;
  }
  if (on_device(from)) check_read(from, bytes, "a copy to the host");
  if (on_device(to)) check_write(to, bytes, "a copy");
  std::memcpy(to, from, bytes);
}

bool fits(cudaMemcpyKind kind, const void* to, const void* from) {
  switch (kind) {
    case cudaMemcpyHostToHost: return !on_device(to) && !on_device(from);
    case cudaMemcpyHostToDevice: return on_device(to) && !on_device(from);
    case cudaMemcpyDeviceToHost: return !on_device(to) && on_device(from);
    case cudaMemcpyDeviceToDevice: return on_device(to) && on_device(from);
    case cudaMemcpyDefault: return true;
  }
  return false;
}

/// A piece of an allocation changes hands, when the stream gets there or, without one, now.
template <class F>
void change_piece(void* p, std::size_t bytes, cudaStream_t* handle, F change) {
  Lock lock(mutex);
  if (begin() != cudaSuccess || bytes == 0) return;
  if (!on_device(p) || !is_live(number(p), bytes))
    fail("an allocator hands out or takes back %zu bytes, of them %s", bytes, describe_dead(number(p), bytes).c_str());
  if (!handle) return change();
  auto in_block = [change, p, block = block_number(number(p))] { if (block_number(number(p)) == block) change(); };
  auto* stream = stream_of(*handle);
  if (!stream) fail("an allocator uses a stream that does not exist");
  enqueue(*stream, {in_block, {}, {}});
}

auto forgetting(void* p, std::size_t bytes) {
  return [=] { std::memset(space.state(number(p)), forgotten, bytes); };
}
auto remembering(void* p, std::size_t bytes) {
  return [=] { take_piece(number(p), bytes); };
}

}  // namespace

namespace emulator {
void forget(void* p, std::size_t bytes) { change_piece(p, bytes, nullptr, forgetting(p, bytes)); }
void forget(void* p, std::size_t bytes, cudaStream_t stream) { change_piece(p, bytes, &stream, forgetting(p, bytes)); }
void remember(void* p, std::size_t bytes) { change_piece(p, bytes, nullptr, remembering(p, bytes)); }
void remember(void* p, std::size_t bytes, cudaStream_t stream) { change_piece(p, bytes, &stream, remembering(p, bytes)); }
}  // namespace emulator

// ---------------------------------------------------------------- allocation

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  Lock lock(mutex);
  if (auto e = begin()) return result(e);
  *total = memory_limit();
  *free = *total - std::min(*total, memory_used(current_device()));
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** p, std::size_t bytes) {
  Lock lock(mutex);
  if (auto e = begin()) return result(e);
  if (auto e = allowed_now()) return result(e);
  if (!p) return result(cudaErrorInvalidValue);
  *p = nullptr;
  if (bytes == 0) return cudaSuccess;
  drift();
  *p = allocate_device(current_device(), bytes);
  if (!*p) return result(cudaErrorMemoryAllocation);
  ++counted().allocations;
  return cudaSuccess;
}

cudaError_t cudaFree(void* p) {
  Lock lock(mutex);
  if (auto e = begin()) return result(e);
  if (!p) return cudaSuccess;
  if (auto e = allowed_now()) return result(e);
  if (!on_device(p)) return result(cudaErrorInvalidValue);
  if (!release_device(p)) fail("cudaFree of %s, which is not the beginning of live memory", describe(number(p)).c_str());
  return cudaSuccess;
}

cudaError_t cudaMallocAsync(void** p, std::size_t bytes, cudaStream_t handle) {
  Lock lock(mutex);
  if (auto e = begin()) return result(e);
  auto* stream = stream_of(handle);
  if (!stream) return result(cudaErrorInvalidResourceHandle);
  if (stream->capture) return invalidate(*stream->capture), result(cudaErrorNotSupported);     // CUDA would make a node of it
  *p = bytes ? allocate_device(stream->device, bytes) : nullptr;
  if (bytes && !*p) return result(cudaErrorMemoryAllocation);
  ++counted().allocations;
  return cudaSuccess;
}

cudaError_t cudaFreeAsync(void* p, cudaStream_t handle) {
  Lock lock(mutex);
  if (auto e = begin()) return result(e);
  auto* stream = stream_of(handle);
  if (!stream) return result(cudaErrorInvalidResourceHandle);
  if (!p) return cudaSuccess;
  if (!on_device(p)) return result(cudaErrorInvalidValue);
  if (stream->capture) return invalidate(*stream->capture), result(cudaErrorNotSupported);
  return result(enqueue(*stream, {[p] {
    if (!release_device(p)) fail("cudaFreeAsync of %s, which is not the beginning of live memory", describe(number(p)).c_str());
  }, {}, {}}));
}

cudaError_t cudaHostAlloc(void** p, std::size_t bytes, unsigned) {
  Lock lock(mutex);
  if (auto e = begin()) return result(e);
  if (auto e = allowed_now()) return result(e);
  *p = bytes ? allocate_pinned(bytes) : nullptr;
  return result(bytes && !*p ? cudaErrorMemoryAllocation : cudaSuccess);
}
cudaError_t cudaMallocHost(void** p, std::size_t bytes) { return cudaHostAlloc(p, bytes, cudaHostAllocDefault); }

cudaError_t cudaFreeHost(void* p) {
  Lock lock(mutex);
  if (auto e = begin()) return result(e);
  if (!p) return cudaSuccess;
  if (auto e = allowed_now()) return result(e);
  if (!is_pinned(p)) return result(cudaErrorInvalidValue);
  if (!release_pinned(p)) fail("cudaFreeHost of %s, which is not the beginning of live memory", describe(number(p)).c_str());
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* p) {
  Lock lock(mutex);
  if (auto e = begin()) return result(e);
  auto* any = const_cast<void*>(p);
  if (on_device(p)) *attributes = {cudaMemoryTypeDevice, device_of(number(p)), any, nullptr};
  else if (is_pinned(p)) *attributes = {cudaMemoryTypeHost, current_device(), any, any};
  else *attributes = {cudaMemoryTypeUnregistered, -2, nullptr, any};
  return cudaSuccess;
}

// ---------------------------------------------------------------- copies

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t handle) {
  Lock lock(mutex);
  if (auto e = begin()) return result(e);
  auto* stream = stream_of(handle);
  if (!stream) return result(cudaErrorInvalidResourceHandle);
  if (bytes == 0) return cudaSuccess;
  if (!to || !from || !fits(kind, to, from)) return result(cudaErrorInvalidValue);
  bool pageable_from = !on_device(from) && !is_pinned(from), pageable_to = !on_device(to) && !is_pinned(to);
  if (stream->capture && (pageable_from || pageable_to)) return invalidate(*stream->capture), result(cudaErrorStreamCaptureUnsupported);

  Work work;
  if (is_pinned(from)) work.flights.push_back({{number(from), bytes}, false});
  if (is_pinned(to)) work.flights.push_back({{number(to), bytes}, true});
  if (pageable_from) {                                   // read before the call returns
    auto staged = std::make_shared<std::vector<char>>(static_cast<const char*>(from), static_cast<const char*>(from) + bytes);
    work.run = [=] { copy(to, staged->data(), bytes); };
  } else {
    work.run = [=] { copy(to, from, bytes); };
  }
  if (auto e = enqueue(*stream, std::move(work))) return result(e);
  if (pageable_to) {                                     // written before the call returns
    ++counted().synchronisations;
    finish({stream, stream->enqueued});
  }
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  Lock lock(mutex);
  if (auto e = begin()) return result(e);
  if (auto e = allowed_now()) return result(e);
  if (auto e = cudaMemcpyAsync(to, from, bytes, kind, nullptr)) return e;
  auto* stream = stream_of(nullptr);
  if (on_device(to) || is_pinned(to)) ++counted().synchronisations;
  finish({stream, stream->enqueued});
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t handle) {
  Lock lock(mutex);
  if (auto e = begin()) return result(e);
  auto* stream = stream_of(handle);
  if (!stream) return result(cudaErrorInvalidResourceHandle);
  if (bytes == 0) return cudaSuccess;
  if (!on_device(to)) return result(cudaErrorInvalidValue);
  return result(enqueue(*stream, {[=] {
    check_write(to, bytes, "cudaMemset");
    std::memset(to, value, bytes);
  }, {}, {}}));
}
cudaError_t cudaMemset(void* to, int value, std::size_t bytes) { return cudaMemsetAsync(to, value, bytes, nullptr); }
