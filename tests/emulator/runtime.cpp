// CUDA's runtime API: devices, launches, streams and events.
#include <map>
#include "fibres.hpp"
#include "memory.hpp"
#include "report.hpp"
#include "streams.hpp"

using namespace emulator;
using Lock = std::lock_guard<std::recursive_mutex>;

namespace {

thread_local cudaError_t last_error = cudaSuccess;

struct ErrorName { cudaError_t error; const char *name, *text; };
constexpr ErrorName error_names[] = {
  {cudaSuccess, "cudaSuccess", "no error"},
  {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
  {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
  {cudaErrorInitializationError, "cudaErrorInitializationError", "initialization error"},
  {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
  {cudaErrorInvalidDevicePointer, "cudaErrorInvalidDevicePointer", "invalid device pointer"},
  {cudaErrorInvalidMemcpyDirection, "cudaErrorInvalidMemcpyDirection", "invalid copy direction for memcpy"},
  {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver", "CUDA driver version is insufficient for CUDA runtime version"},
  {cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction", "invalid device function"},
  {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
  {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
  {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
  {cudaErrorIllegalState, "cudaErrorIllegalState", "the operation cannot be performed in the present state"},
  {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
  {cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
  {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
  {cudaErrorNotPermitted, "cudaErrorNotPermitted", "operation not permitted"},
  {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
  {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported", "operation not permitted when stream is capturing"},
  {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated", "operation failed due to a previous error during capture"},
  {cudaErrorStreamCaptureMerge, "cudaErrorStreamCaptureMerge", "operation would result in a merge of separate capture sequences"},
  {cudaErrorStreamCaptureUnmatched, "cudaErrorStreamCaptureUnmatched", "capture was not initiated in this stream"},
  {cudaErrorStreamCaptureUnjoined, "cudaErrorStreamCaptureUnjoined", "capturing stream has unjoined work"},
  {cudaErrorStreamCaptureIsolation, "cudaErrorStreamCaptureIsolation", "dependency created on uncaptured work in another stream"},
  {cudaErrorStreamCaptureImplicit, "cudaErrorStreamCaptureImplicit", "operation would make the legacy stream depend on a capturing blocking stream"},
  {cudaErrorCapturedEvent, "cudaErrorCapturedEvent", "operation not permitted on an event last recorded in a capturing stream"},
  {cudaErrorStreamCaptureWrongThread, "cudaErrorStreamCaptureWrongThread", "attempt to terminate a thread-local capture sequence from another thread"},
};

const ErrorName* named(cudaError_t error) {
  for (const auto& e : error_names)
    if (e.error == error) return &e;
  return nullptr;
}

/// What a function of the API begins with: is there a GPU at all?
cudaError_t begin() {
  if (device_count() == 0) return cudaErrorNoDevice;
  prepare();
  return cudaSuccess;
}

constexpr std::size_t usual_shared = 48 << 10;
std::map<const void*, std::size_t>& shared_limits() {
  static auto& limits = *new std::map<const void*, std::size_t>;
  return limits;
}

cudaError_t check_shape(const void* function, dim3 grid, dim3 block, std::size_t shared) {
  auto threads = std::uint64_t(block.x) * block.y * block.z;
  if (threads == 0 || block.x > 1024 || block.y > 1024 || block.z > 64 || threads > 1024) return cudaErrorInvalidConfiguration;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535) return cudaErrorInvalidConfiguration;
  auto limit = shared_limits().find(function);
  return shared > (limit == shared_limits().end() ? usual_shared : limit->second) ? cudaErrorInvalidValue : cudaSuccess;
}

}  // namespace

namespace emulator {

cudaError_t result(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

cudaError_t launch(Kernel kernel, dim3 grid, dim3 block, std::size_t shared, cudaStream_t handle) {
  std::shared_ptr<Kernel> owned(new Kernel(kernel), [](Kernel* k) { k->destroy(k->arguments), delete k; });
  Lock lock(mutex);
  if (auto e = begin()) return result(e);
  auto* stream = stream_of(handle);
  if (!stream || stream->device != current_device()) return result(cudaErrorInvalidResourceHandle);
  if (auto e = check_shape(kernel.function, grid, block, shared)) return result(e);
  if (!stream->capture) ++counted().launches;
  return result(enqueue(*stream, {[=, device = stream->device] { run_kernel(*owned, grid, block, shared, device); }, {}, {}}));
}

}  // namespace emulator

// ---------------------------------------------------------------- errors and devices

cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return last_error; }
const char* cudaGetErrorName(cudaError_t error) { return named(error) ? named(error)->name : "unrecognized error code"; }
const char* cudaGetErrorString(cudaError_t error) { return named(error) ? named(error)->text : "unrecognized error code"; }

cudaError_t cudaDriverGetVersion(int* version) { return *version = device_count() ? CUDART_VERSION : 0, cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int* version) { return *version = CUDART_VERSION, cudaSuccess; }

cudaError_t cudaGetDeviceCount(int* count) {
  *count = device_count();
  return result(*count ? cudaSuccess : cudaErrorNoDevice);
}

cudaError_t cudaGetDevice(int* device) {
  if (auto e = begin()) return result(e);
  *device = current_device();
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  if (auto e = begin()) return result(e);
  if (device < 0 || device >= device_count()) return result(cudaErrorInvalidDevice);
  current_device() = device;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  if (auto e = begin()) return result(e);
  if (device < 0 || device >= device_count()) return result(cudaErrorInvalidDevice);
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock: case cudaDevAttrMaxBlockDimX: case cudaDevAttrMaxBlockDimY: *value = 1024; break;
    case cudaDevAttrMaxBlockDimZ: *value = 64; break;
    case cudaDevAttrMaxGridDimX: *value = 0x7fffffff; break;
    case cudaDevAttrMaxGridDimY: case cudaDevAttrMaxGridDimZ: *value = 65535; break;
    case cudaDevAttrMaxSharedMemoryPerBlock: *value = usual_shared; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = shared_bytes; break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor: *value = shared_bytes + 1024; break;
    case cudaDevAttrWarpSize: *value = 32; break;
    case cudaDevAttrMaxRegistersPerBlock: *value = 65536; break;
    case cudaDevAttrMultiProcessorCount: *value = 4; break;
    case cudaDevAttrMaxThreadsPerMultiProcessor: *value = 2048; break;
    case cudaDevAttrL2CacheSize: *value = 50 << 20; break;
    case cudaDevAttrComputeCapabilityMajor: *value = 9; break;
    case cudaDevAttrComputeCapabilityMinor: *value = 0; break;
    case cudaDevAttrUnifiedAddressing: case cudaDevAttrMemoryPoolsSupported: *value = 1; break;
    default: return result(cudaErrorInvalidValue);
  }
  return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  Lock lock(mutex);
  if (auto e = begin()) return result(e);
  if (attribute == cudaFuncAttributePreferredSharedMemoryCarveout) return cudaSuccess;
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 || static_cast<std::size_t>(value) > shared_bytes)
    return result(cudaErrorInvalidValue);
  shared_limits()[kernel] = static_cast<std::size_t>(value);
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  Lock lock(mutex);
  if (auto e = begin()) return result(e);
  if (auto e = allowed_now()) return result(e);
  if (invalidate_captures(current_device())) return result(cudaErrorStreamCaptureUnsupported);
  ++counted().synchronisations;
  finish_device(current_device());
  return cudaSuccess;
}

// ---------------------------------------------------------------- streams

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  Lock lock(mutex);
  if (auto e = begin()) return result(e);
  if (flags > cudaStreamNonBlocking) return result(cudaErrorInvalidValue);
  *stream = new_stream(current_device(), flags == cudaStreamDefault);
  return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) { return cudaStreamCreateWithFlags(stream, cudaStreamDefault); }

cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  Lock lock(mutex);
  if (auto e = begin()) return result(e);
  auto* stream = handle ? stream_of(handle) : nullptr;
  if (!stream || stream->is_legacy) return result(cudaErrorInvalidResourceHandle);
  stream->is_destroyed = true;                           // what it still has to do is done in time
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  Lock lock(mutex);
  if (auto e = begin()) return result(e);
  auto* stream = stream_of(handle);
  if (!stream) return result(cudaErrorInvalidResourceHandle);
  if (stream->capture) return invalidate(*stream->capture), result(cudaErrorStreamCaptureUnsupported);
  ++counted().synchronisations;
  finish({stream, stream->enqueued});
  return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
  Lock lock(mutex);
  if (auto e = begin()) return result(e);
  auto* stream = stream_of(handle);
  if (!stream) return result(cudaErrorInvalidResourceHandle);
  if (stream->capture) return invalidate(*stream->capture), result(cudaErrorStreamCaptureUnsupported);
  drift();
  if (stream->done < stream->enqueued) return result(cudaErrorNotReady);
  host_knows({stream, stream->enqueued});
  return cudaSuccess;
}

cudaError_t cudaLaunchHostFunc(cudaStream_t handle, cudaHostFn_t function, void* data) {
  Lock lock(mutex);
  if (auto e = begin()) return result(e);
  auto* stream = stream_of(handle);
  if (!stream) return result(cudaErrorInvalidResourceHandle);
  return result(enqueue(*stream, {[=] {
    Closed closed;
    in_host_function() = true;
    function(data);
    in_host_function() = false;
  }, {}, {}}));
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned) {
  Lock lock(mutex);
  if (auto e = begin()) return result(e);
  auto* stream = stream_of(handle);
  if (!stream || !is_valid(event)) return result(cudaErrorInvalidResourceHandle);
  if (event->is_captured) {                              // the stream joins the capture that the event is of
    auto capture = event->capture.lock();
    if (!capture) return result(cudaErrorCapturedEvent);
    if (capture->invalidated) return result(cudaErrorStreamCaptureInvalidated);
    if (stream->capture && stream->capture != capture) return invalidate(*capture), invalidate(*stream->capture), result(cudaErrorStreamCaptureMerge);
    if (!stream->capture) {
      if (stream->is_legacy) return result(cudaErrorStreamCaptureImplicit);
      stream->capture = capture, stream->tips.clear();
      capture->streams.insert(stream);
    }
    for (auto tip : event->tips)
      if (std::find(stream->tips.begin(), stream->tips.end(), tip) == stream->tips.end()) stream->tips.push_back(tip);
    return cudaSuccess;
  }
  if (stream->capture) return invalidate(*stream->capture), result(cudaErrorStreamCaptureIsolation);
  if (!event->point.stream) return cudaSuccess;          // never recorded: nothing to wait for
  return result(enqueue(*stream, {{}, {}, {event->point}}));
}

// ---------------------------------------------------------------- events

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  Lock lock(mutex);
  if (auto e = begin()) return result(e);
  if (flags & ~(cudaEventBlockingSync | cudaEventDisableTiming)) return result(cudaErrorInvalidValue);
  *event = new_event(current_device(), !(flags & cudaEventDisableTiming));
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  Lock lock(mutex);
  if (auto e = begin()) return result(e);
  if (!is_valid(event)) return result(cudaErrorInvalidResourceHandle);
  destroy(event);
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t handle) {
  Lock lock(mutex);
  if (auto e = begin()) return result(e);
  auto* stream = stream_of(handle);
  if (!stream || !is_valid(event) || event->device != stream->device) return result(cudaErrorInvalidResourceHandle);
  if (stream->capture) {
    if (stream->capture->invalidated) return result(cudaErrorStreamCaptureInvalidated);
    event->is_captured = true, event->capture = stream->capture, event->tips = stream->tips;
    event->point = {};
    return cudaSuccess;
  }
  event->is_captured = false, event->capture.reset(), event->tips.clear();
  auto time = event->time = std::make_shared<Clock::time_point>();
  if (auto e = enqueue(*stream, {[time] { *time = Clock::now(); }, {}, {}})) return result(e);
  event->point = {stream, stream->enqueued};
  return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  Lock lock(mutex);
  if (auto e = begin()) return result(e);
  if (!is_valid(event)) return result(cudaErrorInvalidResourceHandle);
  if (event->is_captured) return result(cudaErrorCapturedEvent);
  drift();
  if (event->point.stream && event->point.stream->done < event->point.number) return result(cudaErrorNotReady);
  host_knows(event->point);
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  Lock lock(mutex);
  if (auto e = begin()) return result(e);
  if (!is_valid(event)) return result(cudaErrorInvalidResourceHandle);
  if (event->is_captured) {
    if (auto capture = event->capture.lock()) invalidate(*capture);
    return result(cudaErrorCapturedEvent);
  }
  ++counted().synchronisations;
  finish(event->point);
  return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  Lock lock(mutex);
  if (auto e = begin()) return result(e);
  for (auto* event : {from, to})
    if (!is_valid(event) || !event->has_time || !event->point.stream) return result(cudaErrorInvalidResourceHandle);
  for (auto* event : {from, to})
    if (event->point.stream->done < event->point.number) return result(cudaErrorNotReady);
  *milliseconds = std::chrono::duration<float, std::milli>(*to->time - *from->time).count();
  return cudaSuccess;
}
