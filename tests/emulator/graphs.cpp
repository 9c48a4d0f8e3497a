// CUDA's runtime API: the capture of streams into graphs, and their replay.
#include <algorithm>
#include "report.hpp"
#include "streams.hpp"

using namespace emulator;
using Lock = std::lock_guard<std::recursive_mutex>;

namespace {

/// All nodes, each after those that it depends on, otherwise in random order.
void replay(const std::vector<Node>& nodes) {
  std::vector<std::size_t> missing(nodes.size()), ready;
  std::vector<std::vector<std::size_t>> before(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    missing[i] = nodes[i].after.size();
    for (auto j : nodes[i].after) before[j].push_back(i);
    if (missing[i] == 0) ready.push_back(i);
  }
  while (!ready.empty()) {
    auto drawn = dice.below(ready.size());
    auto i = ready[drawn];
    ready.erase(ready.begin() + drawn);
    if (nodes[i].work.run) nodes[i].work.run();
    for (auto j : before[i])
      if (--missing[j] == 0) ready.push_back(j);
  }
}

}  // namespace

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
  Lock lock(mutex);
  auto* stream = stream_of(handle);
  if (!stream) return result(cudaErrorInvalidResourceHandle);
  if (stream->is_legacy) return result(cudaErrorStreamCaptureUnsupported);
  if (stream->capture) return result(cudaErrorIllegalState);
  auto capture = std::make_shared<Capture>();
  capture->mode = mode, capture->thread = std::this_thread::get_id(), capture->origin = stream;
  capture->graph = std::make_unique<CUgraph_st>();
  capture->streams.insert(stream);
  stream->capture = capture, stream->tips.clear();
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* graph) {
  Lock lock(mutex);
  *graph = nullptr;
  auto* stream = stream_of(handle);
  if (!stream) return result(cudaErrorInvalidResourceHandle);
  auto capture = stream->capture;
  if (!capture) return result(cudaErrorIllegalState);
  if (capture->origin != stream) return invalidate(*capture), result(cudaErrorStreamCaptureUnmatched);
  if (capture->mode != cudaStreamCaptureModeRelaxed && capture->thread != std::this_thread::get_id())
    return result(cudaErrorStreamCaptureWrongThread);

  // what other streams did must come before the last of this one
  std::vector<bool> joined(capture->graph->nodes.size());
  std::vector<std::size_t> open = stream->tips;
  while (!open.empty()) {
    auto i = open.back();
    open.pop_back();
    if (joined[i]) continue;
    joined[i] = true;
    for (auto j : capture->graph->nodes[i].after) open.push_back(j);
  }
  bool all_joined = true;
  for (auto* s : capture->streams) {
    for (auto tip : s->tips) all_joined = all_joined && joined[tip];
    s->capture.reset(), s->tips.clear();
  }
  if (capture->invalidated) return result(cudaErrorStreamCaptureInvalidated);
  if (!all_joined) return result(cudaErrorStreamCaptureUnjoined);
  *graph = capture->graph.release();
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
  Lock lock(mutex);
  auto* stream = stream_of(handle);
  if (!stream) return result(cudaErrorInvalidResourceHandle);
  *status = cudaStreamCaptureStatusNone;
  if (stream->capture) *status = stream->capture->invalidated ? cudaStreamCaptureStatusInvalidated : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  std::swap(*mode, capture_mode());
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  Lock lock(mutex);
  if (!graph) return result(cudaErrorInvalidValue);
  *exec = new CUgraphExec_st{std::make_shared<const std::vector<Node>>(graph->nodes)};
  return cudaSuccess;
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, std::size_t* count) {
  Lock lock(mutex);
  if (!graph) return result(cudaErrorInvalidValue);
  for (std::size_t i = 0; nodes && i < *count; ++i)
    nodes[i] = i < graph->nodes.size() ? reinterpret_cast<cudaGraphNode_t>(&graph->nodes[i]) : nullptr;
  *count = nodes ? std::min(*count, graph->nodes.size()) : graph->nodes.size();
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t handle) {
  Lock lock(mutex);
  auto* stream = stream_of(handle);
  if (!stream) return result(cudaErrorInvalidResourceHandle);
  if (!exec) return result(cudaErrorInvalidValue);
  if (!stream->capture) ++counted().launches;
  Work work{[nodes = exec->nodes] { replay(*nodes); }, {}, {}};
  for (const auto& node : *exec->nodes) work.flights.insert(work.flights.end(), node.work.flights.begin(), node.work.flights.end());
  return result(enqueue(*stream, std::move(work)));
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
