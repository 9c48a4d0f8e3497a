// What every use of a GPU needs: CUDA's errors as ours, and each thread's own stream.
#pragma once
#include "tricycle/core/device.hpp"
#include "tricycle/core/error.hpp"
#ifdef TRICYCLE_CUDA
#include <algorithm>
#include <cuda_runtime.h>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace gpu {

/// Throw unless CUDA did what it was asked: "cuda: WHAT: CUDA's own words".
template <class... What>
void check(cudaError_t status, const What&... what) {
  if (status == cudaSuccess) [[likely]] return;
  cudaGetLastError();                                    // said once is enough
  fail("cuda: ", what..., ": ", cudaGetErrorString(status));
}

/// How many GPUs this process may use.
inline int count() {
  int n = 0;
  if (cudaGetDeviceCount(&n) == cudaSuccess) return n;
  cudaGetLastError();
  return 0;
}

/// Throws unless there is such a GPU.
inline void require(Device device) {
  static const int there_are = count();
  if (device.gpu < there_are) [[likely]] return;
  int n = 0;
  auto status = cudaGetDeviceCount(&n);
  cudaGetLastError();
  if (status != cudaSuccess) fail("cuda: ", device, " was asked for, but no GPU can be used here: ", cudaGetErrorString(status));
  fail("cuda: ", device, " was asked for, but there ", n == 1 ? "is" : "are", " ", n, n == 1 ? " GPU" : " GPUs", " here");
}

/// While one of these is alive, CUDA's calls are about this GPU.
class Use {
 public:
  explicit Use(Device device) {
    require(device);
    check(cudaGetDevice(&before_), "cudaGetDevice");
    if (before_ != device.gpu) check(cudaSetDevice(device.gpu), "cudaSetDevice");
    else before_ = -1;
  }
  ~Use() { if (before_ >= 0) cudaSetDevice(before_); }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

 private:
  int before_ = -1;
};

/// What a kernel that met a bad id or a number that is not finite leaves behind, in the GPU's memory, for the host to find
/// when it next reads numbers back. Until then it stops optimisers from moving anything.
struct Alarm {
  static constexpr int name_size = 32;
  int raised = 0;
  char op[name_size]{};
  Index step = 0, position = 0, id = 0, limit = 0;       // limit: what the id should have been below; 0: not an id, but not finite
  Index steps = 0;                                       // how often update() of a model has been called in this thread
};

struct Capture;                                          // kernel/capture.hpp

/// One thread's work on one GPU: done in the order in which it was given.
struct Context {
  Device device;
  cudaStream_t own = nullptr, stream = nullptr;          // the second is the first, unless the user has given one
  Alarm* alarm = nullptr;                                // on the GPU
  Capture* capture = nullptr;                            // what is recorded instead of run, if anything
  std::shared_ptr<void> staging, blas, dnn;              // of core/gpu_transfer.hpp, kernel/gemm_cublas.hpp and kernel/attention_cudnn.hpp
};

namespace detail {

/// Contexts that threads have left behind, for new threads to go on with: memory stays tied to the stream it was used in.
/// Never destroyed, as tensors with static storage may be later.
struct Stock {
  std::mutex mutex;
  std::vector<std::unique_ptr<Context>> idle;
  TRICYCLE_PROCESS_WIDE static Stock& instance() {
    static Stock& stock = *new Stock;
    return stock;
  }
};

inline std::unique_ptr<Context> new_context(Device device) {
  Use on(device);
  auto& stock = Stock::instance();
  {
    std::lock_guard lock(stock.mutex);
    auto found = std::find_if(stock.idle.begin(), stock.idle.end(), [&](auto& idle) { return idle->device == device; });
    if (found != stock.idle.end()) {
      auto context = std::move(*found);
      stock.idle.erase(found);
      return context;
    }
  }
  auto fresh = std::make_unique<Context>();
  fresh->device = device;
  check(cudaStreamCreateWithFlags(&fresh->own, cudaStreamNonBlocking), "cudaStreamCreate");
  fresh->stream = fresh->own;
  void* alarm = nullptr;
  check(cudaMalloc(&alarm, sizeof(Alarm)), "cudaMalloc");
  check(cudaMemsetAsync(alarm, 0, sizeof(Alarm), fresh->stream), "cudaMemset");
  fresh->alarm = static_cast<Alarm*>(alarm);
  return fresh;
}

struct Contexts {
  std::map<int, std::unique_ptr<Context>> of;
  ~Contexts();
};

/// This thread's contexts, or null once the thread has torn them down.
TRICYCLE_PROCESS_WIDE inline Contexts* contexts(bool end = false) {
  thread_local bool gone = false;
  if (end) gone = true;
  if (gone) return nullptr;
  thread_local Contexts mine;
  return &mine;
}

inline Contexts::~Contexts() {
  contexts(true);
  auto& stock = Stock::instance();
  std::lock_guard lock(stock.mutex);
  for (auto& [index, context] : of) {
    context->stream = context->own;
    cudaMemsetAsync(context->alarm, 0, sizeof(Alarm), context->own);   // what nobody has asked about concerns nobody else
    stock.idle.push_back(std::move(context));
  }
}

}  // namespace detail

/// This thread's context for a GPU. Throws when there is no such GPU.
inline Context& context(Device device) {
  auto* mine = detail::contexts();
  tricycle::check(mine != nullptr, "cuda: ", device, " was asked for by a thread that is ending");
  auto found = mine->of.find(device.gpu);
  if (found == mine->of.end()) found = mine->of.emplace(device.gpu, detail::new_context(device)).first;
  return *found->second;
}

/// This thread's context for a GPU if it ever used that, else null.
inline Context* known_context(Device device) noexcept {
  auto* mine = detail::contexts();
  if (!mine) return nullptr;
  auto found = mine->of.find(device.gpu);
  return found == mine->of.end() ? nullptr : found->second.get();
}

inline cudaStream_t stream(Device device) { return context(device).stream; }

/// Let this thread's work on a GPU go into a stream of yours from now on. What was given to the one before is waited for.
/// The stream must outlive every tensor that is made in it.
inline void use_stream(Device device, cudaStream_t stream) {
  Context& mine = context(device);
  Use on(device);
  check(cudaStreamSynchronize(mine.stream), "use_stream");
  mine.stream = stream;
}

}  // namespace gpu
}
}  // namespace tricycle
#endif
