// The cuDNN that is installed makes plans for our attention, for GPUs that are described to it: none is needed. Without a
// driver it gets as far as loading the kernel, which it has compiled by then.
#include <cstdio>
#include <string>
#include "tricycle/kernel/attention_cudnn.hpp"

namespace {

using tricycle::gpu::detail::AttentionKind, tricycle::gpu::detail::AttentionPlan, tricycle::gpu::detail::Descriptor;

struct Gpu { const char* name; int version, processors, shared_bytes; };

/// What cuDNN asks a GPU about itself.
std::string described(const Gpu& gpu) {
  return R"({"maxGridSize":[2147483647,65535,65535],"maxBlockSize":[1024,1024,64],"regsPerBlock":65536,"multiProcessorCount":)" + std::to_string(gpu.processors) +
         R"(,"smCountOrigin":0,"warpSize":32,"maxSharedMemoryPerBlock":49152,"maxSharedMemoryPerBlockOptin":)" + std::to_string(gpu.shared_bytes) +
         R"(,"reservedSharedMemoryPerBlock":1024,"oversizedSharedMemoryPerBlock":0,"maxRegistersPerSM":65536,"maxCtasPerSM":32,"maxThreadsPerBlock":1024,"maxThreadsPerSM":2048,)"
         R"("pciDeviceId":0,"isTccDriver":0,"supportCoopLaunch":1,"totalGlobalMem":80000000000,"smClockRateKHz":1700000,"memClockRateKHz":2600000,"memoryBusWidth":5120,)"
         R"("l2CacheSize":41943040,"cudaDeviceId":0,"driverVer":13000,"deviceVer":)" + std::to_string(gpu.version) + R"(,"deviceName":")" + gpu.name + "\"}";
}

/// Of tokens that attend to each other, packed, or of queries to other tokens.
AttentionKind kind(std::int64_t batch, std::int64_t heads, std::int64_t queries, std::int64_t keys, std::int64_t size, bool causal, bool back, cudnnDataType_t type) {
  const std::int64_t row = (causal ? 3 : 1) * heads * size;
  const AttentionKind::Four of_queries{queries * row, size, row, 1}, of_keys = causal ? of_queries : AttentionKind::Four{row, size, batch * row, 1};
  return {{batch, heads, queries, keys}, of_queries, of_keys, of_keys, size, causal, back, type};
}

bool is_planned(const AttentionKind& kind, const Descriptor& gpu) {
  try {
    return static_cast<bool>(AttentionPlan(kind, nullptr, &gpu));
  } catch (const tricycle::Error& error) {
    const std::string said = error.what();
    if (said.find("EXECUTION_FAILED_CUDA_DRIVER") != said.npos) return true;
    std::puts(said.c_str());
    return false;
  }
}

}  // namespace

int main() {
  const bool has_back = cudnnGetVersion() >= 92800;      // before, there may be none: then our gradients are used
  int failures = 0;
  for (const Gpu& gpu : {Gpu{"NVIDIA A100-SXM4-80GB", 800, 108, 166912}, Gpu{"NVIDIA H100 80GB HBM3", 900, 132, 232448}}) {
    const auto json = described(gpu);
    Descriptor device(static_cast<cudnnBackendDescriptorType_t>(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR));
    tricycle::gpu::check(cudnnBackendSetAttribute(device.get(), CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, std::ssize(json) + 1, json.c_str()), "describing ", gpu.name);
    device.finalise();
    for (bool back : {false, true}) {
      if (back && !has_back) continue;
      struct Case { AttentionKind kind; bool wanted; };
      for (const auto& c : {Case{kind(64, 12, 1024, 1024, 64, true, back, CUDNN_DATA_BFLOAT16), true}, Case{kind(2, 3, 31, 31, 128, true, back, CUDNN_DATA_HALF), true},
                            Case{kind(2, 3, 33, 65, 40, false, back, CUDNN_DATA_BFLOAT16), true}, Case{kind(2, 3, 33, 33, 12, true, back, CUDNN_DATA_HALF), false}}) {
        const bool is = is_planned(c.kind, device);
        std::printf("%s: %s of %d heads of %d numbers: %s\n", gpu.name, back ? "gradients" : "attention", static_cast<int>(c.kind.sizes[1]), static_cast<int>(c.kind.size), is ? "planned" : "no plan");
        failures += is != c.wanted;
      }
    }
  }
  return failures;
}
