// The product of two tensors, summed over labels: which labels become rows, columns, sums and batches, and when a copy pays.
#pragma once
#include <cmath>
#include <optional>
#include "tricycle/kernel/gemm.hpp"
#include "tricycle/op/dots.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace detail {

struct Product {
  TRICYCLE_HD auto operator()(auto a, auto b) const { return a * b; }
};

/// Rows of a walk: each the neighbours of one operand, times the one number of the other.
template <class T>
struct ScaledRows {
  static constexpr bool wide = std::same_as<compute<T>, float>;
  kernel::Walk<3> walk;                                  // of y, the number and x
  const T* number;
  const T* x;
  Gather<T> y;
  template <class Team> TRICYCLE_HD void operator()(Team row) const {
    const auto at = walk.begin(row.index);
    const compute<T> scale(number[at.at[1]]);
    Row<const T> from{x + at.at[2]};
    Gather<T> to{y.at + at.at[0], y.add};
    row.each([&](auto i) {
      auto v = from[i];
      to[i] = v * decltype(v)(scale);
    });
  }
};

/// c = or += a b, along axes whose steps are those of c, a and b: nothing is summed.
template <class T>
void multiply_each(Device device, const AxisList& axes, const T* a, const T* b, Gather<T> c) {
  const Axis last = axes.count > 0 ? axes[axes.count - 1] : no_axis;
  const bool a_stays = last.step[1] == 0, b_stays = last.step[2] == 0;
  const Index other = last.step[a_stays ? 2 : 1];
  if (axes.count < 2 || axes.count > Shape::max_rank || a_stays == b_stays || other != 1 || last.step[0] != 1 || last.extent < 64)
    return map_along(device, {axes.begin(), axes.end()}, Product{}, c, a, b);
  Shape shape;                                           // i,j->ij: the general walk would ask at each number how far the next one is
  std::array<kernel::Strides8, 3> strides{};
  for (const Axis& axis : axes) {
    const auto i = static_cast<std::size_t>(shape.rank());
    strides[0][i] = axis.step[0], strides[1][i] = axis.step[a_stays ? 1 : 2], strides[2][i] = axis.step[a_stays ? 2 : 1];
    shape.push_back(axis.extent);
  }
  const kernel::Walk<3> walk(shape, strides);
  kernel::rows(device, walk.rows, walk.n, ScaledRows<T>{walk, a_stays ? a : b, a_stays ? b : a, c});
}

/// The four roles of a label in a matrix product C = A B: in all three, in C and A, in C and B, in A and B.
struct Roles {
  LabelSet batch, rows, columns, sums;
};

/// Of which of C, A and B a copy is made: the bits of these, in the order in which an Axis has their steps.
enum : unsigned { copies_c = 1, copies_a = 2, copies_b = 4 };

inline Labels joined(const Labels& a, const Labels& b, const Labels& c) {
  Labels all = a;
  for (const Labels* more : {&b, &c})
    for (char label : *more) all.push_back(label);
  return all;
}

/// A way to do it: a batch of products (rows, sums) (sums, columns), and again for each of `rest`, added to what is there.
struct Way {
  unsigned copies;
  Labels batch, rows, columns, sums;                     // in the order of a tensor that stays as it is
  AxisList batches, rest;                                // rows and columns that do not become one axis are batches, too
  bool plain;                                            // do they?
  Axis row, column, sum;

  Way(unsigned copied, const Roles& roles, const Extents& extents, const Steps& steps) : copies(copied) {
    auto order = [&](LabelSet role, std::size_t first, std::size_t second) { return in_order(role, steps[copies >> first & 1 ? second : first]); };
    batch = order(roles.batch, 0, copies & copies_a ? 2 : 1);
    rows = order(roles.rows, 0, 1);
    columns = order(roles.columns, 0, 2);
    sums = order(roles.sums, 1, 2);
    auto axes = [&](const Labels& role) { return fused(role, extents, steps, ~copies); };
    batches = axes(batch);
    const int own = batches.count;
    row = longest(axes(rows), batches);
    column = longest(axes(columns), batches);
    sum = longest(axes(sums), rest);
    plain = batches.count == own;
  }

  /// How many calls of gemm it takes, which knows two axes of batches.
  Index calls() const {
    Index n = rest.size();
    for (int i = 0; i + 2 < batches.count; ++i) n *= batches[i].extent;
    return n;
  }

  /// A guess at how many nanoseconds it takes: of multiplying, packing, starting and copying. What is copied lies as it is best read.
  double cost(bool on_gpu, const std::array<Index, 3>& sizes) const {
    auto step = [&](const Axis& axis, std::size_t t) { return copies >> t & 1 ? Index{-1} : axis.step[t]; };
    auto lies_well = [&](const Axis& x, const Axis& y, std::size_t t) { return copies >> t & 1 || step(x, t) == 1 || step(y, t) == 1; };
    const double m = double(row.extent), n = double(column.extent), k = double(sum.extent), products = double(batches.size()) * double(rest.size());
    const bool thin = (std::min)(m, n) <= 4;
    double one = thin ? (std::max)(m, n) * k * 0.05 : std::ceil((std::max)(m, n) / 16) * 16 * (std::min)(m, n) * k * 0.012;
    if (!thin) one += k * n * 0.1;                       // packing B
    one += (lies_well(sum, column, 2) ? 0 : k * n * 0.7) + (lies_well(row, sum, 1) ? 0 : m * k * 0.7) + (lies_well(row, column, 0) ? 0 : m * n * 0.7);
    double all = products * (one + 100) + double(calls()) * (on_gpu ? 5000 : 300);
    for (std::size_t t = 0; t < 3; ++t) all += copies >> t & 1 ? double(sizes[t]) * 0.7 + (on_gpu ? 5000 : 300) : 0;
    return all;
  }

 private:
  /// The longest axis; the others go to `others`.
  static Axis longest(const AxisList& axes, AxisList& others) {
    int found = 0;
    for (int i = 1; i < axes.count; ++i)
      if (axes[i].extent >= axes[found].extent) found = i;
    for (int i = 0; i < axes.count; ++i)
      if (i != found) others.push_back(axes[i]);
    return axes.count > 0 ? axes[found] : no_axis;
  }
};

/// The cheapest way; without copies where that is plainly one product. No more than a few sums are added up one by one, and
/// none in 16 bits, which would be rounded each time.
template <class T>
Way find_way(Device device, const Roles& roles, const Extents& extents, const Steps& steps) {
  Way best(0, roles, extents, steps);
  auto allowed = [](const Way& way) { return way.rest.size() <= (std::same_as<T, compute<T>> ? 64 : 1); };
  if (best.calls() == 1 && best.plain) return best;
  const std::array<Index, 3> sizes{size_of(roles.batch | roles.rows | roles.columns, extents), size_of(roles.batch | roles.rows | roles.sums, extents),
                                   size_of(roles.batch | roles.columns | roles.sums, extents)};
  double least = allowed(best) ? best.cost(!device.is_cpu(), sizes) : std::numeric_limits<double>::infinity();
  for (unsigned copies = 1; copies < 8; ++copies) {
    const Way way(copies, roles, extents, steps);
    const double cost = way.cost(!device.is_cpu(), sizes);
    if (allowed(way) && cost < least) best = way, least = cost;
  }
  return best;
}

/// c = or += the products, one after the other in the order of `way`, which copies nothing.
template <class T>
void multiply(Device device, const Way& way, const T* a, const T* b, T* c, bool add) {
  if (way.rest.count > 0 || way.batches.count > 2) {
    Way inner = way;
    const bool sums = way.rest.count > 0;
    const Axis outer = (sums ? inner.rest : inner.batches).take_first();
    for (Index i = 0; i < outer.extent; ++i) multiply(device, inner, a + i * outer.step[1], b + i * outer.step[2], c + i * outer.step[0], add || (sums && i > 0));
    return;
  }
  auto batch = [&](int i) { return i < way.batches.count ? way.batches[i] : no_axis; };
  const Axis x = batch(0), y = batch(1), &m = way.row, &n = way.column, &k = way.sum;
  kernel::gemm(device, kernel::Gemm{.batch0 = x.extent, .batch1 = y.extent, .m = m.extent, .n = n.extent, .k = k.extent,
                                    .a = {x.step[1], y.step[1], m.step[1], k.step[1]}, .b = {x.step[2], y.step[2], k.step[2], n.step[2]},
                                    .c = {x.step[0], y.step[0], m.step[0], n.step[0]}, .accumulate = add}, a, b, c);
}

/// c = or += the sum over the labels that c lacks of a b. No label is in a alone, or in b alone; one in c alone repeats what is
/// there. No two places in c are the same.
template <class T>
void contract(Device device, const Extents& extents, const View<const T>& a, const View<const T>& b, const View<T>& c, bool add) {
  const LabelSet inputs = a.labels | b.labels;
  if (size_of(c.labels, extents) == 0) return;
  auto into = [&](const Labels& order, auto make) {      // made elsewhere, and put where it belongs
    Labelled<T> result(order, extents, device);
    make(result.to_write(extents));
    move(device, extents, c, add, result.view(extents));
  };
  if (size_of(inputs, extents) == 0) {                   // sums of no numbers
    if (!add) into({}, [&](const View<T>& to) { kernel::each(device, 1, Fill<T>{T(0.f), to.at}); });
    return;
  }
  if (c.labels & ~inputs) return into(in_order(c.labels & inputs, c.stride.data()), [&](const View<T>& to) { contract(device, extents, a, b, to, false); });

  const Roles roles{a.labels & b.labels & c.labels, c.labels & ~b.labels, c.labels & ~a.labels, inputs & ~c.labels};
  const Steps steps{c.stride.data(), a.stride.data(), b.stride.data()};
  if (!roles.sums) return multiply_each(device, fused(in_order(c.labels, c.stride.data()), extents, steps), a.at, b.at, Gather<T>{c.at, add});
  if (!roles.rows && !roles.columns) {
    const Labels order = in_order(c.labels, c.stride.data());
    if (c.stride == View<T>(c.at, order, extents).stride) return dots(device, extents, a, b, order, roles.sums, Gather<T>{c.at, add});
    return into(order, [&](const View<T>& to) { dots(device, extents, a, b, order, roles.sums, Gather<T>{to.at, false}); });
  }

  const Way way = find_way<T>(device, roles, extents, steps);
  if (way.copies == 0) return multiply(device, way, a.at, b.at, c.at, add);
  std::optional<Labelled<T>> copy_a, copy_b;
  if (way.copies & copies_a) copy_a = arranged(device, extents, a, joined(way.batch, way.rows, way.sums));
  if (way.copies & copies_b) copy_b = arranged(device, extents, b, joined(way.batch, way.sums, way.columns));
  const View<const T> from_a = copy_a ? copy_a->view(extents) : a, from_b = copy_b ? copy_b->view(extents) : b;
  auto product = [&](const View<T>& to, bool adds) {
    multiply(device, Way(0, roles, extents, {to.stride.data(), from_a.stride.data(), from_b.stride.data()}), from_a.at, from_b.at, to.at, adds);
  };
  if (!(way.copies & copies_c)) return product(c, add);
  ++copies_made();
  into(joined(way.batch, way.rows, way.columns), [&](const View<T>& to) { product(to, false); });
}

}  // namespace detail
}
}  // namespace tricycle
