// A step of training recorded once, and then run with one launch: a CUDA graph.
#pragma once
#include "tricycle/core/storage.hpp"
#ifdef TRICYCLE_CUDA

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// What `step` asks of a GPU, recorded instead of done; run() does all of it, in one go. What `step` asks of the CPU (to
/// draw a seed, to work out a learning rate) is done at each run if an op feeds on it (kernel/feed.hpp), and else once, now.
///
/// `step` must have run before, so that optimisers have their memory. It reads inputs that are there now: write the next
/// ones over them with assign(). These, the model and the optimiser must outlive this. It may not read anything back.
/// Throws what `step` throws, and when it does what cannot be recorded.
class CapturedStep {
 public:
  template <class Step>
  CapturedStep(Device device, Step step) : device_(device), context_(gpu::context(device)) {
    gpu::synchronise(device);
    gpu::Pool::of(device)->clear();                      // the step wants as much again, and keeps it
    gpu::Use on(device);
    capture_.pool = std::make_shared<gpu::Pool>(device, true);
    feeds_ = capture_.pool->take(gpu::Capture::feed_bytes, context_.stream);
    capture_.fed = static_cast<char*>(feeds_.at);
    ++replay_count();
    gpu::check(cudaStreamBeginCapture(context_.stream, cudaStreamCaptureModeRelaxed), "capturing a step");
    context_.capture = &capture_;
    ++gpu::captures();
    cudaGraph_t graph = nullptr;
    auto end = [&] {
      context_.capture = nullptr;
      --gpu::captures();
      ++replay_count();
      return cudaStreamEndCapture(context_.stream, &graph);
    };
    try {
      step();
    } catch (...) {
      end();
      cudaGetLastError();
      if (graph) cudaGraphDestroy(graph);
      throw;
    }
    gpu::check(end(), "capturing a step");
    auto status = cudaGraphInstantiate(&run_, graph, 0);
    cudaGraphDestroy(graph);
    gpu::check(status, "capturing a step");
  }
  ~CapturedStep() {
    gpu::Use on(device_);
    cudaStreamSynchronize(context_.stream);
    if (run_) cudaGraphExecDestroy(run_);
    gpu::release(std::move(feeds_));
  }
  CapturedStep(const CapturedStep&) = delete;
  CapturedStep& operator=(const CapturedStep&) = delete;

  /// Do it all, behind what this thread has asked of the GPU so far.
  void run() {
    gpu::Use on(device_);
    if (capture_.fed_bytes > 0) {
      auto& staging = gpu::detail::Staging::of(context_).get(capture_.fed_bytes);
      for (const auto& feed : capture_.feeds) feed.write(static_cast<char*>(staging.at) + feed.offset);
      gpu::check(cudaMemcpyAsync(capture_.fed, staging.at, capture_.fed_bytes, cudaMemcpyHostToDevice, context_.stream), "running a captured step");
      gpu::check(cudaEventRecord(staging.used, context_.stream), "cudaEventRecord");
    }
    gpu::check(cudaGraphLaunch(run_, context_.stream), "running a captured step");
    ++replay_count();
  }

 private:
  Device device_;
  gpu::Context& context_;
  gpu::Capture capture_;
  gpu::Block feeds_;
  cudaGraphExec_t run_ = nullptr;
};

}
}  // namespace tricycle
#endif
