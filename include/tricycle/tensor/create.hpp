// Tensors from numbers: written down, seen where they lie, counted, or drawn.
#pragma once
#include <cmath>
#include "tricycle/core/math.hpp"
#include "tricycle/kernel/random.hpp"
#include "tricycle/tensor/must_cast.hpp"
#include "tricycle/tensor/tensor.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace detail {

/// Numbers in braces of any depth: {{1, 2}, {3, 4}}. Throws when the braces are ragged.
template <Element T>
struct Nested {
  std::vector<T> numbers;
  Shape shape;

  template <class N> requires std::is_arithmetic_v<N> || Short<N>
  explicit(false) Nested(N number) : numbers{convert<T>(number)} {}
  Nested(std::initializer_list<Nested> parts) {
    shape.push_back(static_cast<Index>(parts.size()));
    for (const Nested& part : parts) {
      check(part.shape == parts.begin()->shape, "to_tensor: ragged braces: shape ", part.shape, " beside ", parts.begin()->shape);
      numbers.insert(numbers.end(), part.numbers.begin(), part.numbers.end());
    }
    if (parts.size() > 0)
      for (Index n : parts.begin()->shape) shape.push_back(n);
  }
};

template <Element T>
Tensor<T> leaf(Tensor<T> t, LeafOptions options) {
  t = t.to(options.device);
  if constexpr (Floating<T>)
    if (options.requires_grad) t.require_grad();
  return t;
}

template <Element T, class Draw>
Tensor<T> drawn(const Shape& shape, LeafOptions options, Draw draw) {
  Tensor<T> t(shape);
  std::generate_n(t.mutable_data(), t.size(), [&] { return convert<T>(draw()); });
  return leaf(std::move(t), options);
}

}  // namespace detail

/// The numbers of nested braces: to_tensor({{1, 2}, {3, 4}}), to_tensor(2), to_tensor<int>({0, 1}).
template <Element T = float>
Tensor<T> to_tensor(const std::type_identity_t<detail::Nested<T>>& nested, LeafOptions options = {}) {
  Tensor<T> t(nested.shape);
  std::copy(nested.numbers.begin(), nested.numbers.end(), t.mutable_data());
  return detail::leaf(std::move(t), options);
}

/// A copy of numbers in memory, with a shape. Throws when the shape is of another size.
template <Element T = float, class From, std::size_t n> requires Element<std::remove_const_t<From>>
Tensor<T> to_tensor(std::span<From, n> numbers, const Shape& shape, LeafOptions options = {}) {
  check(shape.size() == static_cast<Index>(numbers.size()), "to_tensor: ", numbers.size(), " numbers for shape ", shape);
  Tensor<T> t(shape);
  std::transform(numbers.begin(), numbers.end(), t.mutable_data(), [](auto x) { return convert<T>(x); });
  return detail::leaf(std::move(t), options);
}
template <Element T = float, Element From>
Tensor<T> to_tensor(const std::vector<From>& numbers, const Shape& shape, LeafOptions options = {}) {
  return to_tensor<T>(std::span<const From>(numbers), shape, options);
}
template <Element T = float, Element From>
Tensor<T> to_tensor(const std::vector<From>& numbers) { return to_tensor<T>(numbers, Shape{static_cast<Index>(numbers.size())}); }
template <Element T = float>
Tensor<T> to_tensor(const std::vector<bool>& numbers, const Shape& shape, LeafOptions options = {}) {            // which are bits, and no span
  return to_tensor<T>(std::vector<std::uint8_t>(numbers.begin(), numbers.end()), shape, options);
}

/// The caller's own numbers, without a copy: what is written to either shows in the other. They must stay where they are while the
/// tensor, or what was recorded of it, is alive; `owner`, if it is given, is kept alive so long. Of const numbers the view is only
/// to be read. Throws when the shape is of another size.
template <class N, std::size_t n> requires Element<std::remove_const_t<N>>
Tensor<std::remove_const_t<N>> view_of(std::span<N, n> numbers, const Shape& shape, LeafOptions options = {}, std::shared_ptr<const void> owner = nullptr) {
  using T = std::remove_const_t<N>;
  check(shape.size() == static_cast<Index>(numbers.size()), "view_of: ", numbers.size(), " numbers for shape ", shape);
  check(options.device.is_cpu(), "view_of: numbers of the CPU's cannot be seen on ", options.device, ": copy them there, view_of(...).to(...)");
  return detail::leaf(Tensor<T>(shape, std::make_shared<Storage<T>>(const_cast<T*>(numbers.data()), std::move(owner), std::is_const_v<N>)), options);
}
template <Element T>
Tensor<T> view_of(std::vector<T>& numbers, const Shape& shape, LeafOptions options = {}) { return view_of(std::span<T>(numbers), shape, options); }
template <Element T>
Tensor<T> view_of(const std::vector<T>& numbers, const Shape& shape, LeafOptions options = {}) { return view_of(std::span<const T>(numbers), shape, options); }
template <Element T>
Tensor<T> view_of(std::vector<T>&& numbers, const Shape& shape, LeafOptions options = {}) = delete;          // it would be gone

/// A matrix or vector of Eigen's, or a Map of one, that lies in one piece: likewise, (rows, columns) or (n,). A matrix must be
/// row-major: of others, see their transpose(). (In return, Map<const Matrix>(x.data(), rows, columns) sees a tensor as Eigen's.)
template <class M>
  requires requires(M& m) { m.data(), m.rows(), m.cols(), m.innerStride(), m.outerStride(), std::remove_cvref_t<M>::IsRowMajor, std::remove_cvref_t<M>::IsVectorAtCompileTime; }
auto view_of(M&& m, LeafOptions options = {}) {
  using Matrix = std::remove_cvref_t<M>;
  constexpr bool vector = Matrix::IsVectorAtCompileTime;
  static_assert(std::is_lvalue_reference_v<M> || !std::same_as<Matrix, typename Matrix::PlainObject>, "the matrix would be gone before the view of it");
  static_assert(vector || Matrix::IsRowMajor, "a tensor is row-major: of a column-major matrix, see the transpose(), view_of(matrix.transpose())");
  const Index rows = m.rows(), columns = m.cols(), size = rows * columns;
  check(m.innerStride() == 1 || size <= 1, "view_of: the numbers of the matrix of shape ", Shape{rows, columns}, " do not follow one another");
  check(vector || rows <= 1 || m.outerStride() == columns, "view_of: the rows of the matrix of shape ", Shape{rows, columns}, " do not follow one another");
  return view_of(std::span(m.data(), static_cast<std::size_t>(size)), vector ? Shape{size} : Shape{rows, columns}, options);
}

template <Element T = float>
Tensor<T> full(const Shape& shape, double number, LeafOptions options = {}) { return detail::leaf(detail::filled(shape, convert<T>(number), options.device), options); }
template <Element T = float>
Tensor<T> zeros(const Shape& shape, LeafOptions options = {}) { return full<T>(shape, 0, options); }
template <Element T = float>
Tensor<T> ones(const Shape& shape, LeafOptions options = {}) { return full<T>(shape, 1, options); }

/// Numbers drawn evenly from [low, high), as np.random.uniform draws them after seed(), then rounded to T.
template <Floating T = float>
Tensor<T> uniform(const Shape& shape, double low = 0, double high = 1, LeafOptions options = {}) {
  return detail::drawn<T>(shape, options, [=] { return low + (high - low) * random_uniform(); });
}

/// Numbers drawn from a normal distribution, as np.random.normal draws them after seed().
template <Floating T = float>
Tensor<T> normal(const Shape& shape, double mean = 0, double deviation = 1, LeafOptions options = {}) {
  return detail::drawn<T>(shape, options, [=] { return mean + deviation * random_normal(); });
}

/// start, start + step, ... up to but without stop.   -> (ceil((stop - start) / step),)
template <Element T = float>
Tensor<T> arange(double start, double stop, double step = 1, LeafOptions options = {}) {
  double n_steps = std::ceil((stop - start) / step);
  check(step != 0 && math::isfinite(n_steps) && n_steps < 0x1p62, "arange: from ", start, " to ", stop, " by ", step);
  Index i = 0, n = static_cast<Index>((std::max)(0.0, n_steps));
  return detail::drawn<T>(Shape{n}, options, [&] { return start + step * static_cast<double>(i++); });
}

template <Element T>
bool Tensor<T>::close_to(const Tensor& b, double rtol, double atol, bool equal_nan) const {
  if (shape_ != b.shape_) return false;
  auto here = detach().from_gpu(), there = b.detach().from_gpu();
  return std::equal(here.span().begin(), here.span().end(), there.span().begin(), [=](T left, T right) {
    if constexpr (!Floating<T>)
      if (left == right) return true;                    // double cannot tell all of 64 bits
    double x = convert<double>(left), y = convert<double>(right);
    return (Floating<T> && x == y) || (math::isfinite(y) && std::abs(x - y) <= atol + rtol * std::abs(y)) || (equal_nan && math::isnan(x) && math::isnan(y));
  });
}
template <Element T>
bool close_to(const Tensor<T>& a, const Tensor<T>& b, double rtol = 1e-4, double atol = 1e-8, bool equal_nan = false) { return a.close_to(b, rtol, atol, equal_nan); }
template <Element A, Element B> requires detail::Differ<A, B>
bool close_to(const Tensor<A>& a, const Tensor<B>&, double = 0, double = 0, bool = false) { return detail::must_cast_to_compare<B>(a).size() > 0; }

}
}  // namespace tricycle
