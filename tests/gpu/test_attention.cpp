// Flash attention against the composition that it takes the place of: the same numbers, the same gradients, the same dropout.
#include "../op_checks.hpp"
#include "tricycle/nn/blocks.hpp"

namespace tc = tricycle;
using tc::AttentionOptions;
using tc::Device;

namespace {

const Device gpu = Device::cuda();
#ifdef TRICYCLE_CUDNN
const bool ours_alone = !(tc::gpu::cudnn_options().attention = false);       // but in the last cases, which are cuDNN's
#endif

/// What attention makes of some operands, and their gradients.
template <class T>
struct Attended {
  Tensor<T> y;
  std::vector<Tensor<T>> grads;
};

/// attend(operands) and its gradients for a random cotangent, `times` of them added up.
template <class T, class F>
Attended<T> attended(const Operands& operands, Device device, F attend, int times = 1) {
  auto in = tensors<T>(operands, device);
  for (auto& x : in) x.require_grad();
  tc::seed(11);
  Attended<T> result{attend(in), {}};
  auto cotangent = tensor<T>(direction(result.y.shape(), 7)).to(device);
  for (int i = 0; i < times; ++i) result.y.backward(cotangent, {.retain_graph = true});
  for (auto& x : in) result.grads.push_back(x.grad());
  return result;
}

template <class T>
auto flash(const AttentionOptions& options) {
  return [=](const std::vector<Tensor<T>>& in) {
    auto y = tc::attention(in[0], in[1], in[2], options);
    CHECK(y.name() == "attention");
    return y;
  };
}
template <class T>
auto composed(const AttentionOptions& options) {
  return [=](const std::vector<Tensor<T>>& in) {
    return tc::detail::composed_attention(tc::detail::AttentionShape(in[0].shape(), in[1].shape(), in[2].shape(), options), in[0], in[1], in[2]);
  };
}

template <class T>
constexpr Real tolerance = std::same_as<T, float> ? 1e-11L : 1e-4L;

template <class T, class U>
void check_close(const Attended<T>& got, const Attended<U>& wanted, Real nmse = tolerance<T>) {
  auto close = [&](const Numbers& x, const Numbers& expected) {
    const auto far = distance(x, expected);
    CHECK(far.nmse <= nmse);
    CHECK(far.worst <= 30 * std::sqrt(nmse));
  };
  close(numbers_of(got.y), numbers_of(wanted.y));
  REQUIRE(got.grads.size() == wanted.grads.size());
  for (std::size_t i = 0; i < got.grads.size(); ++i) {
    INFO("gradient of operand " << i);
    close(numbers_of(got.grads[i]), numbers_of(wanted.grads[i]));
  }
}

template <class T>
void check_same(const Tensor<T>& a, const Tensor<T>& b) {
  auto x = a.to_vector(), y = b.to_vector();
  REQUIRE(x.size() == y.size());
  CHECK((x.empty() || std::memcmp(x.data(), y.data(), x.size() * sizeof(T)) == 0));
}

std::vector<Shape> shapes(Index batch, Index queries, Index keys, Index heads, Index size, bool time_first = false) {
  Shape q{batch, queries, heads, size}, k = time_first ? Shape{keys, batch, heads, size} : Shape{batch, keys, heads, size};
  return {q, k, k};
}

}  // namespace

TEMPLATE_TEST_CASE("flash attention is the composition", "[attention]", float, tc::bf16, tc::half) {
  struct Case { Index batch, queries, keys, heads, size; AttentionOptions options; };
  const auto c = GENERATE(
      Case{1, 1, 1, 1, 1, {}}, Case{2, 31, 31, 2, 8, {}}, Case{1, 33, 33, 1, 32, {.causal = false}}, Case{1, 64, 64, 2, 64, {}}, Case{1, 20, 130, 1, 64, {}},
      Case{1, 70, 66, 1, 80, {.causal = false, .scale = 0.5}}, Case{1, 66, 70, 1, 128, {}}, Case{1, 66, 67, 1, 8, {}}, Case{2, 40, 45, 3, 5, {.dropout = 0.25f}}, Case{1, 65, 35, 2, 16, {.causal = false, .dropout = 0.5f}}, Case{1, 65, 72, 1, 16, {.dropout = 0.5f}},
      Case{2, 5, 9, 2, 12, {.scale = 1, .dropout = 0.1f, .time_first = true}}, Case{2, 0, 3, 2, 4, {}}, Case{2, 3, 0, 2, 4, {.causal = false}}, Case{0, 3, 3, 2, 4, {}}, Case{2, 3, 3, 0, 4, {}});
  INFO(c.batch << " by " << c.queries << " queries, " << c.keys << " keys, " << c.heads << " heads of " << c.size);
  const auto in = drawn<TestType>(shapes(c.batch, c.queries, c.keys, c.heads, c.size, c.options.time_first), Domain{.low = -1.5, .high = 1.5});
  check_close(attended<TestType>(in, gpu, flash<TestType>(c.options)), attended<double>(in, Device::cpu, composed<double>(c.options)));
}

TEMPLATE_TEST_CASE("flash attention drops what the op drops", "[attention]", float, tc::bf16, tc::half) {
  const AttentionOptions options{.dropout = 0.4f};
  const Index keys = GENERATE(37, 36, 76);               // of multiples of 4, random numbers are made four at a time
  const auto in = drawn<TestType>(shapes(2, 35, keys, 2, 16), Domain{.low = -1.5, .high = 1.5});
  check_close(attended<TestType>(in, gpu, flash<TestType>(options)), attended<TestType>(in, gpu, composed<TestType>(options)), std::same_as<TestType, float> ? 1e-11L : 4e-4L);
  tc::seed(11);
  tc::random_bits();
  const auto next = tc::random_bits();
  attended<TestType>(in, gpu, flash<TestType>(options));
  CHECK(tc::random_bits() == next);                      // one draw, as the op
}

TEMPLATE_TEST_CASE("flash attention reads and writes in place", "[attention]", float, tc::bf16, tc::half) {
  const Index size = GENERATE(5, 16, 72);
  const Index tokens = 37, heads = 2, n = heads * size;
  const AttentionOptions options{.dropout = 0.1f};
  const auto in = drawn<TestType>({Shape{2, tokens, 3 * n}}, Domain{.low = -1.5, .high = 1.5});
  auto whole = [&](const auto& x) { return tc::attention(x[0], heads, options); };
  auto parts = [&](const auto& x) {
    auto thirds = tc::split(x[0], 3);
    for (auto& part : thirds) part = part.reshape({2, tokens, heads, size});
    return tc::attention(thirds[0], thirds[1], thirds[2], options).reshape({2, tokens, n});
  };
  const auto a = attended<TestType>(in, gpu, whole), b = attended<TestType>(in, gpu, parts);
  check_same(a.y, b.y);
  check_same(a.grads[0], b.grads[0]);
  check_close(a, attended<double>(in, Device::cpu, whole));
}

TEMPLATE_TEST_CASE("flash attention adds to gradients, and makes those that are wanted", "[attention]", float, tc::bf16, tc::half) {
  const auto in = drawn<TestType>(shapes(1, 20, 40, 2, 24), Domain{.low = -1.5, .high = 1.5});
  const auto once = attended<TestType>(in, gpu, flash<TestType>({})), again = attended<TestType>(in, gpu, flash<TestType>({}));
  check_close(attended<TestType>(in, gpu, flash<TestType>({}), 2), attended<double>(in, Device::cpu, composed<double>({}), 2));
  check_same(once.y, again.y);
  auto cotangent = tensor<TestType>(direction(once.y.shape(), 7)).to(gpu);
  for (std::size_t i = 0; i < 3; ++i) {
    check_same(once.grads[i], again.grads[i]);           // the same bits each time
    auto some = tensors<TestType>(in, gpu);
    some[i].require_grad();
    tc::attention(some[0], some[1], some[2]).backward(cotangent);
    check_same(some[i].grad(), once.grads[i]);
  }
  auto itself = [](const auto& x) { return tc::attention(x[0], x[0], x[0]); };
  check_close(attended<TestType>({in[1]}, gpu, itself), attended<double>({in[1]}, Device::cpu, itself));
}

TEST_CASE("flash attention keeps its digits where scores are large", "[attention]") {
  // Scores of up to 10,000, exact ones: almost all weights are 0, but for pairs of keys whose scores differ by 1/2.
  auto in = drawn<float>(shapes(1, 40, 70, 1, 32), Domain{.low = -1, .high = 1});
  for (auto* x : {&in[0], &in[1]})
    for (Real& v : x->at) v = std::round(v * 8) * 5;
  for (std::size_t i = 0; i < 40; ++i) in[0].at[32 * i] = 1;
  for (std::size_t i = 0; i < 35 * 32; ++i) in[1].at[35 * 32 + i] = in[1].at[i] + (i % 32 == 0 ? 0.5L : 0);
  const AttentionOptions options{.causal = false, .scale = 1};
  const auto got = attended<float>(in, gpu, flash<float>(options));
  // The gradient of a query is a difference of such keys, 80 times as small as they are: hence the tolerance.
  check_close(got, attended<double>(in, Device::cpu, composed<double>(options)), 5e-8L);
}

TEST_CASE("a NaN stays with the queries that see it", "[attention]") {
  auto in = drawn<float>(shapes(1, 70, 70, 1, 8), Domain{.low = -1, .high = 1});
  in[1].at[66 * 8] = std::numeric_limits<Real>::quiet_NaN();
  const auto got = numbers_of(attended<float>(in, gpu, flash<float>({})).y);
  for (Index t = 0; t < 70; ++t) CHECK(std::isnan(got[{0, t, 0, 3}]) == (t >= 66));
}

TEST_CASE("flash attention needs no memory for its weights", "[attention]") {
  const Index tokens = 300;
  auto memory = tc::gpu::Pool::of(gpu);
  auto in = tensors<float>(drawn<float>(shapes(1, tokens, tokens, 1, 8), Domain{}), gpu);
  for (auto& x : in) x.require_grad();
  const auto before = memory->held();
  auto y = tc::attention(in[0], in[1], in[2]);
  CHECK(memory->held() - before < 2 * tokens * (8 + 2) * sizeof(float));
  y.backward();
  y = in[0];
  CHECK(memory->held() - before < 2 * tokens * 3 * 8 * sizeof(float));
}

namespace {

/// A warp's product by its instruction, and by shuffles.
template <class T>
struct BothWays {
  static constexpr int threads = 32;
  const std::uint32_t* operands;
  float* sums;
  TRICYCLE_HD void operator()() const {
    const auto* mine = operands + 6 * tc::gpu::thread();
    const std::uint32_t a[] = {mine[0], mine[1], mine[2], mine[3]};
    float c[2][4] = {{1, 2, 3, 4}, {1, 2, 3, 4}};
    tc::gpu::multiply<T>(c[0], a, mine[4], mine[5]);
    tc::gpu::multiply_by_shuffles<T>(c[1], a, mine[4], mine[5]);
    for (int i = 0; i < 8; ++i) sums[8 * tc::gpu::thread() + i] = c[i / 4][i % 4];
  }
};

}  // namespace

TEMPLATE_TEST_CASE("GPUs without the instruction multiply alike", "[attention]", float, tc::bf16, tc::half) {
  Tensor<std::uint32_t> operands(Shape{32 * 6});
  std::mt19937 random(5);
  auto draw = [&] { return static_cast<float>(static_cast<int>(random() % 17) - 8); };                    // few digits: sums are exact
  for (Index i = 0; i < operands.size(); ++i) {
    if constexpr (sizeof(TestType) == 4) operands.mutable_data()[i] = __builtin_bit_cast(std::uint32_t, draw());
    else operands.mutable_data()[i] = static_cast<std::uint32_t>(TestType(draw()).bits | TestType(draw()).bits << 16);
  }
  const auto there = operands.to(gpu);
  Tensor<float> sums(Shape{32, 2, 4}, gpu);
  tc::gpu::launch(gpu, 1, BothWays<TestType>{there.data(), sums.mutable_data()});
  const auto got = sums.to_vector();
  for (std::size_t i = 0; i < got.size(); i += 8)
    for (std::size_t j = 0; j < 4; ++j) CHECK(got[i + j] == got[i + j + 4]);
}

TEST_CASE("a layer on a GPU is the layer on the CPU", "[attention]") {
  tc::seed(3);
  tc::MultiHeadSelfAttention layer({.embedding_dim = 24, .n_heads = 3, .context_window = 40});
  const auto in = drawn<float>({Shape{2, 35, 24}}, Domain{.low = -1.5, .high = 1.5});
  auto here = tensors<float>(in)[0];
  const auto wanted = layer(here.require_grad());
  wanted.backward();
  layer.to(gpu);
  auto there = tensors<float>(in, gpu)[0];
  const auto got = layer(there.require_grad());
  got.backward();
  CHECK(distance(numbers_of(got), numbers_of(wanted)).nmse < 1e-11L);
  CHECK(distance(numbers_of(there.grad()), numbers_of(here.grad())).nmse < 1e-11L);

  tc::NoGrad no_grad;                                    // some tokens at a time, by way of a cache
  tc::KeyValueCache<float> cache(40, 2, 3, 8, gpu);
  for (Index from : {0, 20, 21}) {
    const Index to = from == 0 ? 20 : from == 20 ? 21 : 35;
    const auto some = tensor<float>(reference::part(in[0], 1, from, to)).to(gpu);
    CHECK(distance(numbers_of(layer(some, &cache)), reference::part(numbers_of(wanted), 1, from, to)).nmse < 1e-11L);
  }
}

#ifdef TRICYCLE_CUDNN
#include "attention_by_cudnn.hpp"
#endif
