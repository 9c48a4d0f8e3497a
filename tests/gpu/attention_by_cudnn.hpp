// The cases of test_attention.cpp that are about cuDNN's attention.
#pragma once
#include "tricycle/kernel/capture.hpp"

namespace {

/// While one of these lives, cuDNN is used: for gradients, too, if that is said.
struct WithCudnn {
  explicit WithCudnn(bool gradients = false) { tc::gpu::cudnn_options() = {.attention = true, .gradients = gradients}; }
  ~WithCudnn() { tc::gpu::cudnn_options() = {.attention = false}; }
};

/// How often cuDNN runs in f(): there, and back. Only the emulator counts.
template <class F>
void check_cudnn_runs(std::size_t forward, std::size_t backward, F f) {
#ifdef TRICYCLE_EMULATED
  const auto before = emulator::cudnn_runs();
  f();
  const auto after = emulator::cudnn_runs();
  CHECK(after.forward - before.forward == forward);
  CHECK(after.backward - before.backward == backward);
#else
  (void)forward, (void)backward;
  f();
#endif
}

}  // namespace

TEMPLATE_TEST_CASE("cuDNN's attention is the composition", "[attention]", tc::bf16, tc::half) {
  struct Case { Index batch, queries, keys, heads, size; AttentionOptions options; };
  const auto c = GENERATE(Case{2, 1, 1, 2, 8, {}}, Case{2, 31, 31, 3, 16, {}}, Case{1, 33, 33, 2, 32, {.causal = false}}, Case{1, 30, 40, 2, 64, {.causal = false, .scale = 0.5}},
                          Case{1, 37, 37, 1, 128, {}}, Case{2, 40, 7, 2, 72, {.causal = false, .time_first = true}});
  const bool gradients = GENERATE(false, true);
  INFO(c.batch << " by " << c.queries << " queries, " << c.keys << " keys, " << c.heads << " heads of " << c.size);
  const auto in = drawn<TestType>(shapes(c.batch, c.queries, c.keys, c.heads, c.size, c.options.time_first), Domain{.low = -1.5, .high = 1.5});
  WithCudnn with(gradients);
  check_cudnn_runs(1, gradients ? 1 : 0, [&] { check_close(attended<TestType>(in, gpu, flash<TestType>(c.options)), attended<double>(in, Device::cpu, composed<double>(c.options))); });
}

TEMPLATE_TEST_CASE("cuDNN's attention reads and writes in place, adds up, and gives the same bits", "[attention]", tc::bf16, tc::half) {
  const Index tokens = 37, heads = 2, n = heads * 24;
  const bool gradients = GENERATE(false, true);
  const auto in = drawn<TestType>({Shape{2, tokens, 3 * n}}, Domain{.low = -1.5, .high = 1.5});
  auto whole = [&](const auto& x) { return tc::attention(x[0], heads); };
  WithCudnn with(gradients);
  const auto wanted = attended<double>(in, Device::cpu, whole), twice = attended<double>(in, Device::cpu, whole, 2);
  check_cudnn_runs(1, gradients ? 1 : 0, [&] { check_close(attended<TestType>(in, gpu, whole), wanted); });
  check_cudnn_runs(1, gradients ? 1 : 0, [&] { check_close(attended<TestType>(in, gpu, whole, 2), twice); });       // ours add
  auto itself = [](const auto& x) { return tc::attention(x[0], x[0], x[0]); };
  const auto one = drawn<TestType>({Shape{2, tokens, heads, 24}}, Domain{.low = -1.5, .high = 1.5});
  check_cudnn_runs(1, 0, [&] { check_close(attended<TestType>(one, gpu, itself), attended<double>(one, Device::cpu, itself)); });
  const auto a = attended<TestType>(in, gpu, whole), b = attended<TestType>(in, gpu, whole);
  check_same(a.y, b.y);
  if (!gradients) check_same(a.grads[0], b.grads[0]);
}

TEST_CASE("what cuDNN cannot do, or would prepare for too long, is done by our kernels", "[attention]") {
  WithCudnn with(true);
  auto run = [](auto type, const std::vector<Shape>& shapes, const AttentionOptions& options) {
    using T = decltype(type);
    check_cudnn_runs(0, 0, [&] { attended<T>(drawn<T>(shapes, Domain{}), gpu, flash<T>(options)); });
  };
  run(tc::bf16(), shapes(1, 9, 9, 1, 16), {.dropout = 0.5f});
  run(tc::bf16(), shapes(1, 9, 9, 1, 12), {});
  run(tc::bf16(), shapes(1, 9, 10, 1, 16), {});
  run(tc::bf16(), shapes(1, 9, 9, 1, 16), {.scale = 0});
  run(tc::bf16(), shapes(1, 9, 0, 1, 16), {.causal = false});
  run(float(), shapes(1, 9, 9, 1, 16), {});
  tc::NoGrad no_grad;
  check_cudnn_runs(0, 0, [&] { tc::attention(tensors<tc::bf16>(drawn<tc::bf16>({Shape{1, 9, 48}}, Domain{}), gpu)[0], 1); });
}

TEST_CASE("cuDNN's attention can be captured", "[attention]") {
  WithCudnn with;
  const auto first = drawn<tc::bf16>({Shape{2, 20, 3 * 32}}, Domain{.low = -1.5, .high = 1.5});
  auto x = tensors<tc::bf16>(first, gpu)[0];
  x.require_grad();
  auto y = x, grad = x;
  auto step = [&] {
    x.zero_grad();
    y = tc::attention(x, 2);
    y.backward();
    grad = x.grad();
  };
  step();
  const auto wanted = y.clone(), wanted_grad = grad.clone();
  tc::CapturedStep captured(gpu, step);
  for (int i = 0; i < 2; ++i) captured.run();
  check_same(y, wanted);
  check_same(grad, wanted_grad);
}

TEST_CASE("what cuDNN refuses is an error in its own words", "[attention]") {
  using tc::gpu::detail::Descriptor;
  Descriptor tensor(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  auto check_says = [](auto f, const std::string& beginning) {
    std::string said;
    try {
      f();
    } catch (const tc::Error& error) {
      said = error.what();
    }
    CHECK(said.substr(0, beginning.size()) == beginning);
    CHECK(said.size() > beginning.size() + 10);
  };
  check_says([&] { tensor.finalise(); }, "cudnn: attention: CUDNN_STATUS_BAD_PARAM");
  check_says([&] { tensor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, true); }, "cudnn: cudnnBackendSetAttribute 906: CUDNN_STATUS_BAD_PARAM");
}
