// Flash attention against the composition that it takes the place of: the same numbers, the same gradients, the same dropout.
#include "../op_checks.hpp"
#include "tricycle/nn/gpt.hpp"

namespace tc = tricycle;
using tc::AttentionOptions;
using tc::Device;

namespace {

const Device gpu = Device::cuda();

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
    if (std::getenv("TRICYCLE_SHOW")) std::printf("%s nmse %.2Le worst %.2Le\n", tc::dtype_name<T>(), far.nmse, far.worst);
  };
  close(numbers(got.y), numbers(wanted.y));
  REQUIRE(got.grads.size() == wanted.grads.size());
  for (std::size_t i = 0; i < got.grads.size(); ++i) {
    INFO("gradient of operand " << i);
    close(numbers(got.grads[i]), numbers(wanted.grads[i]));
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

TEMPLATE_TEST_CASE("flash attention is the composition", "[attention]", float, tc::bf16) {
  struct Case { Index batch, queries, keys, heads, size; AttentionOptions options; };
  const auto c = GENERATE(
      Case{1, 1, 1, 1, 1, {}}, Case{2, 31, 31, 2, 8, {}}, Case{1, 33, 33, 1, 32, {.causal = false}}, Case{1, 64, 64, 2, 64, {}}, Case{1, 20, 130, 1, 64, {}},
      Case{1, 70, 66, 1, 80, {.causal = false, .scale = 0.5}}, Case{1, 66, 70, 1, 128, {}}, Case{2, 40, 45, 3, 5, {.dropout = 0.25f}}, Case{1, 65, 35, 2, 16, {.causal = false, .dropout = 0.5f}},
      Case{2, 5, 9, 2, 12, {.scale = 1, .dropout = 0.1f, .time_first = true}}, Case{2, 0, 3, 2, 4, {}}, Case{2, 3, 0, 2, 4, {.causal = false}}, Case{0, 3, 3, 2, 4, {}}, Case{2, 3, 3, 0, 4, {}});
  INFO(c.batch << " by " << c.queries << " queries, " << c.keys << " keys, " << c.heads << " heads of " << c.size);
  const auto in = drawn<TestType>(shapes(c.batch, c.queries, c.keys, c.heads, c.size, c.options.time_first), Domain{.low = -1.5, .high = 1.5});
  check_close(attended<TestType>(in, gpu, flash<TestType>(c.options)), attended<double>(in, Device::cpu, composed<double>(c.options)));
}
