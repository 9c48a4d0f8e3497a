// What is checked of every row of the op table, in each element type.
#pragma once
#include <cstring>
#include <limits>
#include "catch.hpp"
#include "op_table.hpp"

/// How far numbers are from what they should be: the mean square of the errors and the largest one, both relative to how
/// large the numbers are (1, if all should be 0). Infinite where one is NaN and the other is not, and where shapes differ.
/// Errors count by as much as they are larger than `forgiven`.
struct Distance {
  Real nmse = 0, worst = 0;
};

inline Distance distance(const Numbers& x, const Numbers& expected, Real forgiven = 0) {
  const Real far = std::numeric_limits<Real>::infinity();
  if (x.shape != expected.shape) return {far, far};
  Real squares = 0, errors = 0, worst = 0, n = 0;
  for (Real e : expected.at)
    if (std::isfinite(e)) squares += e * e, ++n;
  if (squares == 0) squares = n;
  const Real typical = n > 0 ? std::sqrt(squares / n) : 0;
  for (std::size_t i = 0; i < x.at.size(); ++i) {
    const Real is = x.at[i], should_be = expected.at[i];
    if (is == should_be || (std::isnan(is) && std::isnan(should_be))) continue;
    const Real error = std::max(std::abs(is - should_be) - forgiven, Real(0));
    if (!std::isfinite(error)) return {far, far};
    errors += error * error;
    worst = std::max(worst, error / (std::abs(should_be) + typical));
  }
  return {errors == 0 ? 0 : errors / squares, worst};
}

template <class T>
Numbers numbers_of(const Tensor<T>& x) {
  Numbers all{x.shape(), {}};
  auto here = x.detach().from_gpu();
  for (T v : here.span()) all.at.push_back(static_cast<Real>(static_cast<tricycle::compute<T>>(v)));
  return all;
}

/// The nearest numbers that T can hold.
template <class T>
Tensor<T> tensor(const Numbers& x) {
  Tensor<T> t(x.shape);
  std::transform(x.at.begin(), x.at.end(), t.mutable_data(), [](Real v) { return static_cast<T>(static_cast<tricycle::compute<T>>(v)); });
  return t;
}
template <class T>
std::vector<Tensor<T>> tensors(const Operands& in, tricycle::Device device = tricycle::Device::cpu) {
  std::vector<Tensor<T>> all;
  for (const Numbers& x : in) all.push_back(tensor<T>(x).to(device));
  return all;
}

/// Operands for a case of a row, in numbers that T can hold. The same ones each time.
template <class T>
Operands drawn(const std::vector<Shape>& shapes, const Domain& domain) {
  std::mt19937_64 random(20240229);
  Operands in;
  for (const Shape& shape : shapes) in.push_back(numbers_of(tensor<T>(reference::build(shape, [&](const Place&) { return domain.draw(random); }))));
  return in;
}

/// A direction to look in: random, so that no error is orthogonal to it. (Ones are orthogonal to every gradient of softmax.)
/// In numbers that every T can hold.
inline Numbers direction(const Shape& shape, unsigned seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  const auto in_8_bits = numbers_of(tensor<tricycle::bf16>(reference::build(shape, [&](const Place&) { return normal(random); })));
  return numbers_of(tensor<tricycle::half>(in_8_bits));
}

inline Real dot(const Numbers& a, const Numbers& b) {
  Real total = 0;
  for (std::size_t i = 0; i < a.at.size(); ++i) total += a.at[i] * b.at[i];
  return total;
}

/// The result of a row, and the gradient of each operand for a random cotangent.
template <class T>
struct Outcome {
  Tensor<T> y;
  std::vector<Tensor<T>> grads;
};

/// `only`: the one operand whose gradient is wanted, or -1 for all. `times`: how often to go back, the gradients adding up.
template <class T>
Outcome<T> outcome(const Row<T>& row, const Operands& operands, int only = -1, int times = 1, tricycle::Device device = tricycle::Device::cpu) {
  auto in = tensors<T>(operands, device);
  for (std::size_t i = 0; row.differentiable && i < in.size(); ++i)
    if (only < 0 || static_cast<std::size_t>(only) == i) in[i].require_grad();
  Outcome<T> result{row.call(in), {}};
  if (!row.differentiable) return result;
  auto cotangent = tensor<T>(direction(result.y.shape(), 7)).to(device);
  for (int i = 0; i < times; ++i) result.y.backward(cotangent, {.retain_graph = true});
  for (const auto& x : in)
    if (x.requires_grad()) result.grads.push_back(x.grad());
  return result;
}

template <class T>
std::string described(const Row<T>& row, const std::vector<Shape>& shapes) {
  std::ostringstream text;
  text << row.name << " of";
  for (const Shape& shape : shapes) text << ' ' << shape;
  return text.str();
}

/// Runs check(row, shapes) for every case of every row; what fails is named.
template <class T, class Check>
void for_every_case(const std::vector<Row<T>>& table, Check check) {
  for (const Row<T>& row : table)
    DYNAMIC_SECTION(row.name) {
      for (const auto& shapes : row.cases) {
        INFO(described(row, shapes));
        check(row, shapes);
      }
    }
}

inline Index numbers_in(const std::vector<Shape>& shapes) {
  Index n = 0;
  for (const Shape& shape : shapes) n += shape.size();
  return n;
}

/// Values of T against plain loops, gradients against those of double, which are checked against finite differences. Errors up
/// to `forgiven` are no larger than T's own steps near 0.
template <class T>
void check_precision(Real nmse, Real worst, Real forgiven = 0) {
  const auto table = op_table<T>();
  const auto doubles = op_table<double>();
  for_every_case(table, [&](const Row<T>& row, const std::vector<Shape>& shapes) {
    auto close = [&](const Numbers& x, const Numbers& expected) {
      auto far = distance(x, expected, forgiven);
      CHECK(far.nmse <= nmse);
      CHECK(far.worst <= worst);
    };
    const Operands in = drawn<T>(shapes, row.domain);
    const auto got = outcome(row, in, -1, 2);
    close(numbers_of(got.y), row.expected(in));
    const auto exact = outcome(doubles[static_cast<std::size_t>(&row - table.data())], in, -1, 2);
    for (std::size_t i = 0; i < got.grads.size(); ++i) {
      INFO("gradient of operand " << i);
      close(numbers_of(got.grads[i]), numbers_of(exact.grads[i]));
    }
  });
}

/// A row on a GPU against the same row in double on the CPU, values and gradients: the mean square of the errors is at most
/// `nmse` (`nmse_of_products` for einsum, whose sums cuBLASLt makes in an order of its own), and no error is over 30 times the typical one (`eps` of a typical number, if that is more), so that no lone wrong
/// number hides in a large tensor. Twice, to the same bits.
template <class T>
void check_gpu(Real nmse, Real nmse_of_products, Real eps, Real forgiven = 0) {
  const auto table = op_table<T>();
  const auto doubles = op_table<double>();
  const auto gpu = tricycle::Device::cuda();
  for_every_case(table, [&](const Row<T>& row, const std::vector<Shape>& shapes) {
    auto close = [&](const Numbers& x, const Numbers& expected) {
      REQUIRE(x.shape == expected.shape);
      if (x.at.empty()) return;
      Real squares = 0, errors = 0, worst = 0, n = static_cast<Real>(x.at.size());       // worst: beyond its own rounding
      for (std::size_t i = 0; i < x.at.size(); ++i) {
        if (std::isnan(x.at[i]) && std::isnan(expected.at[i])) continue;
        const Real error = std::max(std::abs(x.at[i] - expected.at[i]) - forgiven, Real(0));
        squares += expected.at[i] * expected.at[i], errors += error * error, worst = std::max(worst, error - eps * std::abs(expected.at[i]));
      }
      CHECK(errors <= (row.name.starts_with("Einsum") ? nmse_of_products : nmse) * (squares > 0 ? squares : 1));
      CHECK(worst <= 30 * std::max(std::sqrt(errors / n), eps * std::sqrt(squares / n)));
    };
    const Operands in = drawn<T>(shapes, row.domain);
    const auto got = outcome(row, in, -1, 2, gpu), again = outcome(row, in, -1, 2, gpu);
    const auto exact = outcome(doubles[static_cast<std::size_t>(&row - table.data())], in, -1, 2);
    auto same = [](const Tensor<T>& a, const Tensor<T>& b) {
      auto x = a.to_vector(), y = b.to_vector();
      return x.size() == y.size() && (x.empty() || std::memcmp(x.data(), y.data(), x.size() * sizeof(T)) == 0);
    };
    CHECK(same(got.y, again.y));
    close(numbers_of(got.y), numbers_of(exact.y));
    for (std::size_t i = 0; i < got.grads.size(); ++i) {
      INFO("gradient of operand " << i);
      CHECK(same(got.grads[i], again.grads[i]));
      close(numbers_of(got.grads[i]), numbers_of(exact.grads[i]));
    }
  });
}

/// The same bits from every number of threads, in loops that are cut wherever they can be.
template <class T>
void check_threads() {
  struct Restore {
    int threads = tricycle::threads();
    Index serial_below = tricycle::kernel::serial_below();
    ~Restore() {
      tricycle::set_threads(threads);
      tricycle::kernel::serial_below() = serial_below;
    }
  } restore;
  auto same_bits = [](const Tensor<T>& a, const Tensor<T>& b) {
    return a.shape() == b.shape() && std::memcmp(a.data(), b.data(), sizeof(T) * static_cast<std::size_t>(a.size())) == 0;
  };
  for_every_case<T>(op_table<T>(), [&](const Row<T>& row, const std::vector<Shape>& shapes) {
    const Operands in = drawn<T>(shapes, row.domain);
    tricycle::set_threads(1);
    tricycle::kernel::serial_below() = std::numeric_limits<Index>::max();
    const auto alone = outcome(row, in);
    tricycle::kernel::serial_below() = 1;
    for (int n : {1, 2, 4}) {
      tricycle::set_threads(n);
      const auto shared = outcome(row, in);
      INFO(n << " threads");
      CHECK(same_bits(shared.y, alone.y));
      for (std::size_t i = 0; i < alone.grads.size(); ++i) CHECK(same_bits(shared.grads[i], alone.grads[i]));
    }
  });
}
