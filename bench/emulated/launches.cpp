// What a training step asks of a GPU, one line each: every kernel by name and number of blocks, every product by its shape,
// copies and memsets. Compiled for the emulator, whose API is overheard here; paper_step.py checks its account against it.
#include <cublasLt.h>
#include <cuda_runtime.h>
#include <cctype>
#include <cstdio>
#include <map>
#include <string>

namespace overheard {

inline bool listening = false;

template <class... Values>
void say(const char* format, Values... values) {
  if (listening) std::printf(format, values...);
}

/// The name of a kernel's functor, without namespaces.
template <class F>
std::string name() {
  std::string all = __PRETTY_FUNCTION__;
  auto from = all.find("F = ") + 4;
  all = all.substr(from, all.find_first_of(";]", from) - from);
  std::string plain;
  std::size_t word = 0;                                  // where the word began that is being copied
  for (char c : all) {
    if (c == ':') plain.resize(word);
    else plain += c;
    if (!(std::isalnum(static_cast<unsigned char>(c)) || c == '_')) word = plain.size();
  }
  return plain;
}

template <class F>
cudaError_t launch(void (*kernel)(F), dim3 grid, dim3 block, void** arguments, std::size_t shared, cudaStream_t stream) {
  say("kernel\t%s\t%u\n", name<F>().c_str(), grid.x * grid.y);
  return cudaLaunchKernel(kernel, grid, block, arguments, shared, stream);
}

inline cudaError_t copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  say("copy\t%s\t%zu\n", kind == cudaMemcpyHostToDevice ? "to the GPU" : kind == cudaMemcpyDeviceToHost ? "from the GPU" : "on the GPU", bytes);
  return cudaMemcpyAsync(to, from, bytes, kind, stream);
}

inline cudaError_t set(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  say("memset\t\t%zu\n", bytes);
  return cudaMemsetAsync(to, value, bytes, stream);
}

inline cudaError_t instantiate(cudaGraphExec_t* run, cudaGraph_t graph, unsigned long long flags) {
  std::size_t n = 0;
  cudaGraphGetNodes(graph, nullptr, &n);
  std::printf("nodes\t\t%zu\n", n);
  return cudaGraphInstantiate(run, graph, flags);
}

/// What was said of matrices and of products, by their handles.
struct Layout { cudaDataType_t type; std::uint64_t rows, columns; std::int32_t batch = 1; };
struct How { cublasOperation_t a = CUBLAS_OP_N; cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT; };
inline std::map<const void*, Layout> layouts;
inline std::map<const void*, How> hows;

inline cublasStatus_t layout(cublasLtMatrixLayout_t* made, cudaDataType_t type, std::uint64_t rows, std::uint64_t columns, std::int64_t stride) {
  auto status = cublasLtMatrixLayoutCreate(made, type, rows, columns, stride);
  layouts[*made] = {type, rows, columns};
  return status;
}
inline cublasStatus_t layout_set(cublasLtMatrixLayout_t which, cublasLtMatrixLayoutAttribute_t what, const void* value, std::size_t bytes) {
  if (what == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT) layouts[which].batch = *static_cast<const std::int32_t*>(value);
  return cublasLtMatrixLayoutSetAttribute(which, what, value, bytes);
}
inline cublasStatus_t how_set(cublasLtMatmulDesc_t which, cublasLtMatmulDescAttributes_t what, const void* value, std::size_t bytes) {
  if (what == CUBLASLT_MATMUL_DESC_TRANSA) hows[which].a = *static_cast<const cublasOperation_t*>(value);
  if (what == CUBLASLT_MATMUL_DESC_EPILOGUE) hows[which].epilogue = *static_cast<const cublasLtEpilogue_t*>(value);
  return cublasLtMatmulDescSetAttribute(which, what, value, bytes);
}

/// (m, k), (k, n) -> (m, n), printed as m k n. cuBLASLt thinks in columns: its columns are our rows.
inline cublasStatus_t product(cublasLtHandle_t handle, cublasLtMatmulDesc_t how, const void* alpha, const void* a, cublasLtMatrixLayout_t la, const void* b,
                              cublasLtMatrixLayout_t lb, const void* beta, const void* c, cublasLtMatrixLayout_t lc, void* d, cublasLtMatrixLayout_t ld,
                              const cublasLtMatmulAlgo_t* algorithm, void* workspace, std::size_t bytes, cudaStream_t stream) {
  static constexpr auto type = [](cudaDataType_t t) { return t == CUDA_R_16BF ? "bf16" : t == CUDA_R_32F ? "float" : "other"; };
  static constexpr auto epilogue = [](cublasLtEpilogue_t e) {
    switch (e) {
      case CUBLASLT_EPILOGUE_DEFAULT: return "";
      case CUBLASLT_EPILOGUE_BIAS: return " bias";
      case CUBLASLT_EPILOGUE_GELU_AUX: return " gelu aux";
      case CUBLASLT_EPILOGUE_GELU_AUX_BIAS: return " gelu aux bias";
      case CUBLASLT_EPILOGUE_DGELU: return " dgelu";
      default: return " another epilogue";
    }
  };
  const Layout &first = layouts[la], &result = layouts[ld];
  auto k = hows[how].a == CUBLAS_OP_N ? first.columns : first.rows;
  bool adds = *static_cast<const float*>(beta) != 0;
  say("product\t%llu %llu %llu %s to %s%s%s\t%d\n", static_cast<unsigned long long>(result.columns), static_cast<unsigned long long>(k),
      static_cast<unsigned long long>(result.rows), type(first.type), type(result.type), epilogue(hows[how].epilogue), adds ? " +" : "", result.batch);
  return cublasLtMatmul(handle, how, alpha, a, la, b, lb, beta, c, lc, d, ld, algorithm, workspace, bytes, stream);
}

}  // namespace overheard

#define cudaLaunchKernel overheard::launch
#define cudaMemcpyAsync overheard::copy
#define cudaMemsetAsync overheard::set
#define cublasLtMatmul overheard::product
#define cublasLtMatrixLayoutCreate overheard::layout
#define cublasLtMatrixLayoutSetAttribute overheard::layout_set
#define cublasLtMatmulDescSetAttribute overheard::how_set
#define cudaGraphInstantiate overheard::instantiate
#include "../../examples/command_line.hpp"
#include "tricycle/tricycle.hpp"

namespace {
using namespace tricycle;

int program(examples::CommandLine& line) {
  GPTConfig c{.vocab_size = 96, .context_window = 32, .embedding_dim = 64, .n_heads = 1, .n_layers = 1, .bias = true};
  Index batch = 2;
  std::string bias = "on";
  line.about("Lists what a training step of GPT<bf16> asks of a GPU.");
  line.option("--batch N", batch, "windows of text", {.least = 1});
  line.option("--context N", c.context_window, "tokens in a window", {.least = 1});
  line.option("--layers N", c.n_layers, "transformer blocks", {.least = 1});
  line.option("--heads N", c.n_heads, "heads of attention", {.least = 1});
  line.option("--width N", c.embedding_dim, "numbers that stand for a token", {.least = 1});
  line.option("--vocabulary N", c.vocab_size, "tokens that there are", {.least = 1});
  line.option("--dropout F", c.dropout, "probability that an activation is dropped", {.least = 0, .below = 1});
  line.choice("--bias on|off", bias, "biases and betas");
  line.parse();
  c.bias = bias == "on";
  const Device device = Device::cuda();
  seed(1337);
  GPT<bf16> model(c);
  model.to(device);
  AdamW optimiser{.learning_rate = 1e-3, .weight_decay = 0.1, .decays = matrices_only};
  std::vector<int> text;
  for (Index i = 0; i <= batch * c.context_window + 7; ++i) text.push_back(static_cast<int>((i * i + i / 3) % c.vocab_size));
  auto data = CausalLMDataset(text, c.context_window).batch(batch);
  Tensor<int> inputs(Shape{batch, c.context_window}, device), targets(inputs.shape(), device);
  auto total = full<float>({}, 0, {.requires_grad = false, .device = device});
  auto phase = [](const char* name) { overheard::say("# %s\n", name); };
  auto update = [&] {
    phase("forward");
    auto loss = model.loss(inputs, targets);
    phase("backward");
    loss.backward();
    phase("clip");
    clip_gradients(model, 1);
    phase("update");
    model.update(optimiser);
    phase("loss");
    total.assign(loss.detach());
  };
  auto step = [&] {
    phase("batch");
    auto next = data.next();
    inputs.assign(next.inputs), targets.assign(next.targets);
    update();
  };
  step();                                                // the optimiser makes its memory
  gpu::synchronise(device);
  overheard::listening = true;
  auto before = emulator::counts();
  step();
  auto after = emulator::counts();
  overheard::listening = false;
  gpu::synchronise(device);
  std::printf("launches\t\t%zu\nsynchronisations\t\t%zu\nallocations\t\t%zu\n", after.launches - before.launches, after.synchronisations - before.synchronisations,
              after.allocations - before.allocations);
  CapturedStep captured(device, update);
  captured.run();
  gpu::synchronise(device);
  return std::isfinite(total.item()) ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) { return examples::run_main(argc, argv, program); }
