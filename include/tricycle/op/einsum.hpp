// Einsum: every product of tensors is a string, and so is its gradient.
#pragma once
#include "tricycle/kernel/gemm.hpp"
#include "tricycle/op/reduce.hpp"
#include "tricycle/op/subscript.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace detail {

/// A tensor's numbers with a label and a stride for each axis.
template <class T>
struct Labelled {
  T* at;
  Labels labels;
  Shape shape;
  kernel::Strides8 strides = kernel::contiguous(shape);

  Index extent(char c) const { return labels.has(c) ? shape[labels.find(c)] : 1; }
  Index stride(char c) const { return labels.has(c) ? strides[static_cast<std::size_t>(labels.find(c))] : 0; }
  /// The strides that walk these numbers in the order of other labels: 0 for those that are not here.
  kernel::Strides8 along(const Labels& order) const {
    kernel::Strides8 s{};
    for (int i = 0; i < order.count; ++i) s[static_cast<std::size_t>(i)] = stride(order.at[static_cast<std::size_t>(i)]);
    return s;
  }
};

struct Product {
  TRICYCLE_HD auto operator()(auto a, auto b) const { return a * b; }
};

/// Some labels walked together, as one axis of a matrix product: what its extent is and how far apart its steps are in
/// each of the tensors.
struct Axis {
  Index extent = 1, a = 0, b = 0, c = 0;
};

/// The labels of one role as few axes as the strides of all three tensors allow, the outermost first.
template <class A, class B, class C>
std::vector<Axis> fuse(const Labels& role, const A& a, const B& b, const C& c) {
  std::vector<Axis> axes;
  for (char l : role) {
    Axis axis{a.labels.has(l) ? a.extent(l) : b.extent(l), a.stride(l), b.stride(l), c.stride(l)};
    if (axis.extent == 1) continue;
    if (!axes.empty()) {
      Axis& last = axes.back();
      if (last.a == axis.a * axis.extent && last.b == axis.b * axis.extent && last.c == axis.c * axis.extent) {
        last = {last.extent * axis.extent, axis.a, axis.b, axis.c};
        continue;
      }
    }
    axes.push_back(axis);
  }
  return axes;
}

/// x copied so that its axes stand in the order of `labels`.
template <class T>
std::pair<Tensor<T>, Labelled<const T>> arranged(Device device, const Labelled<const T>& x, const Labels& labels) {
  Shape shape;
  for (char l : labels) shape.push_back(x.extent(l));
  Tensor<T> copy(shape, device);
  move(device, shape, kernel::contiguous(shape), Gather<T>{copy.mutable_data(), false}, x.along(labels), x.at);
  Labelled<const T> as{copy.data(), labels, shape};
  return {std::move(copy), as};
}

inline Labels joined(const Labels& a, const Labels& b, const Labels& c) {
  Labels all;
  for (const Labels* part : {&a, &b, &c})
    for (char l : *part) all.push_back(l);
  return all;
}

/// c = or += the sum over the labels that c lacks of a b. Every label is in two of the three, or in all.
template <class T>
void contract(Device device, const Labelled<const T>& a, const Labelled<const T>& b, const Labelled<T>& c, bool add) {
  Labels batch, m, n, k;                                 // the four roles of a label in a matrix product
  for (char l : c.labels) (!b.labels.has(l) ? m : a.labels.has(l) ? batch : n).push_back(l);
  for (char l : a.labels)
    if (!c.labels.has(l)) k.push_back(l);
  if (k.count == 0) {                                    // nothing is summed
    kernel::Walk<3> walk(c.shape, {c.strides, a.along(c.labels), b.along(c.labels)});
    return kernel::map(device, walk, Product{}, Gather<T>{c.at, add}, a.at, b.at);
  }
  auto batches = fuse(batch, a, b, c), rows = fuse(m, a, b, c), columns = fuse(n, a, b, c), sums = fuse(k, a, b, c);
  if (batches.size() > 2 || rows.size() > 1 || columns.size() > 1 || sums.size() > 1) {   // strides alone do not do it
    auto copy_a = arranged(device, a, joined(batch, m, k));
    auto copy_b = arranged(device, b, joined(batch, k, n));
    Labels order = joined(batch, m, n);
    if (c.labels == order) return contract(device, copy_a.second, copy_b.second, c, add);
    Shape shape;
    for (char l : order) shape.push_back(c.extent(l));
    Tensor<T> result(shape, device);
    Labelled<T> arranged_c{result.mutable_data(), order, shape};
    contract(device, copy_a.second, copy_b.second, arranged_c, false);
    return move(device, c.shape, c.strides, Gather<T>{c.at, add}, arranged_c.along(c.labels), result.data());
  }
  batches.resize(2);
  rows.resize(1), columns.resize(1), sums.resize(1);
  kernel::gemm(device, kernel::Gemm{.batch0 = batches[0].extent, .batch1 = batches[1].extent,
                                    .m = rows[0].extent, .n = columns[0].extent, .k = sums[0].extent,
                                    .a = {batches[0].a, batches[1].a, rows[0].a, sums[0].a},
                                    .b = {batches[0].b, batches[1].b, sums[0].b, columns[0].b},
                                    .c = {batches[0].c, batches[1].c, rows[0].c, columns[0].c}, .accumulate = add},
               a.at, b.at, c.at);
}

}  // namespace detail

/// A sum of products of tensors, described by NumPy's subscripts: Einsum("ij,jk->ik")(a, b) is the matrix product. One or
/// two operands; '...' stands for leading axes; without '->' the result has the letters that appear once, by alphabet.
/// A string that makes no sense throws, or does not compile in einsum<"...">; shapes that do not fit throw.
class Einsum {
 public:
  constexpr explicit Einsum(std::string_view subscript) : subscript_(subscript) {}

  /// The same numbers in another order, summed over the letters that the result lacks.
  template <Floating T>
  Tensor<T> operator()(const Tensor<T>& x) const {
    check(subscript_.operands == 1, subscript_, ": one tensor was given for two operands");
    using namespace detail;
    Labels in = labels(0, x.shape()), out = subscript_.out.expanded(subscript_.out.count - 1 + ellipsis(0, x.shape()));
    AxisSet summed;
    Labels kept;
    for (int i = 0; i < in.count; ++i)
      if (char l = in.at[static_cast<std::size_t>(i)]; out.has(l)) kept.push_back(l);
      else summed[static_cast<std::size_t>(i)] = true;
    Tensor<T> y(shape_of(out, Labelled<const T>{x.data(), in, x.shape()}), x.device());
    Tensor<T> sums = x.detach();
    if (summed.any()) {
      sums = Tensor<T>(without(x.shape(), summed, false), x.device());
      sum_over<T, T>(x.device(), x.shape(), summed, x.data(), 1, {sums.mutable_data(), false});
    }
    Labelled<const T> from{sums.data(), kept, sums.shape()};
    if (kept == out) y = sums.view(y.shape());
    else move(x.device(), y.shape(), kernel::contiguous(y.shape()), Gather<T>{y.mutable_data(), false}, from.along(out), from.at);
    return record(name(), y, {{x, [in, out](const Tensor<T>& grad, Sink<T> dx) {
      Labelled<const T> g{grad.data(), out, grad.shape()};
      move(grad.device(), dx.shape(), kernel::contiguous(dx.shape()), dx.gather(), g.along(in), g.at);
    }}});
  }

  /// The product of two tensors, summed over the letters that the result lacks.
  template <Floating T>
  Tensor<T> operator()(const Tensor<T>& a, const Tensor<T>& b) const {
    check(subscript_.operands == 2, subscript_, ": two tensors were given for one operand");
    check(a.device() == b.device(), subscript_, ": the left operand is on ", a.device(), ", but the right one on ", b.device());
    using namespace detail;
    Labels in_a = labels(0, a.shape()), in_b = labels(1, b.shape());
    Labels out = subscript_.out.expanded(subscript_.out.count - 1 + (std::max)(ellipsis(0, a.shape()), ellipsis(1, b.shape())));
    if (Axes lone = lone_axes(in_a, in_b, out); !lone.over.empty()) return product(sum(a, lone), b, without_lone(in_a, in_b, out), in_b, out);
    return product(a, b, in_a, in_b, out);
  }

  constexpr std::string_view subscript() const { return subscript_.view(); }
  std::string name() const { return "einsum " + std::string(subscript()); }

 private:
  template <Floating T>
  Tensor<T> product(const Tensor<T>& a, const Tensor<T>& b, const detail::Labels& in_a, const detail::Labels& in_b, const detail::Labels& out) const {
    using namespace detail;
    if (Axes lone = lone_axes(in_b, in_a, out); !lone.over.empty()) return product(a, sum(b, lone), in_a, without_lone(in_b, in_a, out), out);
    Labelled<const T> x{a.data(), in_a, a.shape()}, y{b.data(), in_b, b.shape()};
    for (char l : in_a)
      check(!in_b.has(l) || x.extent(l) == y.extent(l), subscript_, ": index ", l < 'A' ? std::string_view("...") : std::string_view(&l, 1), " is ", x.extent(l), " in ", a.shape(),
            " but ", y.extent(l), " in ", b.shape());
    Tensor<T> c(shape_of(out, x, y), a.device());
    contract(a.device(), x, y, Labelled<T>{c.mutable_data(), out, c.shape()}, false);
    // The gradient of an einsum is an einsum: an operand and the result change places.
    auto back = [](const Labels& g, const Labels& in_other, const Labels& in_own, const Tensor<T>& other) {
      return [=, other = Saved<T>(other)](const Tensor<T>& grad, Sink<T> sink) {
        auto to = sink.gather();
        contract(grad.device(), Labelled<const T>{grad.data(), g, grad.shape()}, Labelled<const T>{other.data(), in_other, (*other).shape()},
                 Labelled<T>{to.at, in_own, sink.shape()}, to.add);
      };
    };
    return record(name(), c, {{a, back(out, in_b, in_a, b)}, {b, back(out, in_a, in_b, a)}});
  }

  /// How many axes '...' stands for in an operand of this shape.
  int ellipsis(int operand, const Shape& shape) const {
    const auto& labels = subscript_.in[static_cast<std::size_t>(operand)];
    return labels.has('.') ? shape.rank() - labels.count + 1 : 0;
  }
  detail::Labels labels(int operand, const Shape& shape) const {
    const auto& written = subscript_.in[static_cast<std::size_t>(operand)];
    check(written.has('.') ? shape.rank() >= written.count - 1 : shape.rank() == written.count, subscript_, ": operand ", operand + 1, " has ",
          written.has('.') ? written.count - 1 : written.count, written.has('.') ? " or more" : "", " indices, but its shape is ", shape);
    return written.expanded(shape.rank());
  }
  /// The axes of `own` whose label is nowhere else, to be summed before the product.
  static Axes lone_axes(const detail::Labels& own, const detail::Labels& other, const detail::Labels& out) {
    Axes axes;
    for (int i = 0; i < own.count; ++i)
      if (char l = own.at[static_cast<std::size_t>(i)]; !other.has(l) && !out.has(l)) axes.over.push_back(i);
    return axes;
  }
  static detail::Labels without_lone(const detail::Labels& own, const detail::Labels& other, const detail::Labels& out) {
    detail::Labels rest;
    for (char l : own)
      if (other.has(l) || out.has(l)) rest.push_back(l);
    return rest;
  }
  template <class... Operand>
  static Shape shape_of(const detail::Labels& out, const Operand&... operand) {
    Shape shape;
    for (char l : out) shape.push_back((std::max)({operand.labels.has(l) ? operand.extent(l) : Index{0}...}));
    return shape;
  }

  detail::Subscript subscript_;
};

/// einsum<"ij,jk->ik">(a, b): the same Einsum, read (or refused) by the compiler.
template <FixedString subscript>
inline constexpr Einsum einsum{subscript};

}
}  // namespace tricycle
