// The ops that read ids: rows, slices and numbers by their places, and the loss that undoes an embedding.
#pragma once
#include "tricycle/kernel/alarm.hpp"
#include "tricycle/kernel/scatter.hpp"
#include "tricycle/op/elementwise.hpp"
#include "tricycle/op/rowwise.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace detail {

/// The label, if there is one, that stands for no truth.
struct Ignored {
  bool is_any = false;
  Index label = 0;
  Ignored() = default;
  explicit Ignored(std::optional<Index> one) : is_any(one.has_value()), label(one.value_or(0)) {}
  TRICYCLE_HD bool operator()(auto id) const { return is_any && static_cast<Index>(id) == label; }
};

/// An id that is not below `count` raises a GPU's alarm.
template <class Id>
struct CheckId {
  const Id* ids; Index count; Ignored ignored; kernel::Alarm alarm;
  TRICYCLE_HD void operator()(Index i) const {
    auto id = static_cast<Index>(ids[i]);
    if ((id < 0 || id >= count) && !ignored(id)) alarm.bad_id(i, id, count);
  }
};

/// Throws for an id that is not below `count`: on the CPU now, on a GPU when numbers are next read back.
template <std::integral Id>
void check_ids(const char* op, const Tensor<Id>& ids, Index count, Ignored ignored = {}) {
  if (!ids.device().is_cpu()) return kernel::each(ids.device(), ids.size(), CheckId<Id>{ids.data(), count, ignored, {op, ids.device()}});
  for (Index i = 0; i < ids.size(); ++i) {
    auto id = static_cast<Index>(ids.data()[i]);         // an unsigned one past 2^63 turns negative, and is refused too
    check((id >= 0 && id < count) || ignored(id), op, ": id ", id, " at position ", i, " is not below ", count);
  }
}

/// The row of an id; of one that has raised the alarm, the first.
template <class Id>
TRICYCLE_HD Index row_of(Id id, Index count) {
  auto row = static_cast<Index>(id);                     // an unsigned one past 2^63 turns negative
  return row < 0 || row >= count ? 0 : row;
}

template <class T, class Id>
struct EmbedRows {
  static constexpr bool wide = std::same_as<compute<T>, float>;
  const Id* ids; const T* weights; T* y; Index vocabulary;
  template <class Team> TRICYCLE_HD void operator()(Team row) const {
    Row<const T> from{weights + row_of(ids[row.index], vocabulary) * row.n};
    Row<T> to{y + row.index * row.n};
    row.each([&](auto i) { to[i] = from[i]; });
  }
};
/// A row of dx while softmax writes it: probability p becomes (p - [it is the truth]) scale.
template <class T>
struct CrossEntropyRow {
  Gather<T> dx;
  Index truth;
  compute<T> scale;
  template <class I>
  struct Cell {
    CrossEntropyRow row;
    I i;
    template <class R> TRICYCLE_HD void operator=(R p) const { row.dx[i] = math::select(is(i, row.truth), p - R(1), p) * R(row.scale); }
  };
  template <class I> TRICYCLE_HD Cell<I> operator[](I i) const { return {*this, i}; }
};
template <class T, class Id>
struct CrossEntropyForward {
  static constexpr bool wide = std::same_as<compute<T>, float>;
  const Id* truth; const T* x; Index stride; compute<T>* loss; Ignored ignored{};      // stride: from row to row
  template <class Team> TRICYCLE_HD void operator()(Team row) const {
    if (ignored(truth[row.index])) return row.once([&] { loss[row.index] = 0; });
    write(row, Softmax().total(row, logits(row)), of_truth(row));
  }
  TRICYCLE_HD Row<const T> logits(auto row) const { return {x + row.index * stride}; }
  TRICYCLE_HD auto of_truth(auto row) const { return logits(row)[row_of(truth[row.index], row.n)]; }
  TRICYCLE_HD void write(auto row, auto all, auto logit) const {
    row.once([&] { loss[row.index] = all.sum == 0 ? -math::log(all.sum) : math::log(all.sum) - (logit - all.top); });
  }
  bool aligned(Index) const { return rows_are_aligned(x, stride); }
};
template <class T, class Id>
struct CrossEntropyBackward {
  static constexpr bool wide = std::same_as<compute<T>, float>;
  const Id* truth; const T* x; Index stride; const compute<T>* grad; compute<T> scale; Gather<T> dx; Ignored ignored{};
  template <class Team> TRICYCLE_HD void operator()(Team row) const {
    Index at = row.index * stride;
    if (Gather<T> to{dx.at + at, dx.add}; ignored(truth[row.index])) return row.each([&](auto i) { to[i] = 0.f; });
    write(row, Softmax().total(row, Row<const T>{x + at}));
  }
  TRICYCLE_HD void write(auto row, auto all) const {
    Index at = row.index * stride;
    CrossEntropyRow<T> out{{dx.at + at, dx.add}, row_of(truth[row.index], row.n), *grad * scale};
    Softmax().f(row, all, Row<const T>{x + at}, out);
  }
  bool aligned(Index) const { return rows_are_aligned(x, stride) && rows_are_aligned(dx.at, stride); }
};
/// Both at once, for whom the logits serve no more: they become their gradient in place.
template <class T, class Id>
struct CrossEntropyInPlace {
  static constexpr bool wide = std::same_as<compute<T>, float>;
  CrossEntropyForward<T, Id> forward; CrossEntropyBackward<T, Id> backward;
  template <class Team> TRICYCLE_HD void operator()(Team row) const {
    if (forward.ignored(forward.truth[row.index])) return forward(row), backward(row);
    const auto of_truth = forward.of_truth(row);         // before it is written over
    const auto all = Softmax().total(row, forward.logits(row));
    forward.write(row, all, of_truth);
    backward.write(row, all);
  }
  bool aligned(Index n) const { return backward.aligned(n); }
};
template <class R>
struct IsKept {
  Ignored ignored;
  TRICYCLE_HD R operator()(auto id) const { return ignored(id) ? R(0) : R(1); }
};

/// The gradient of a mean, over how many it is of. Of none it must not be NaN.
struct ShareOfKept {
  template <class R> TRICYCLE_HD R operator()(R grad, R kept) const { return grad / math::max(kept, R(1)); }
};

/// The mean of the losses whose truth is not ignored; and, where labels can be, how many are kept, counted on the device. The losses
/// are written over.
template <class R>
struct MeanOfKept {
  Tensor<R> mean, kept;

  template <class Id>
  MeanOfKept(const Tensor<Id>& truth, Tensor<R>& losses, Ignored ignored) : mean(Shape{}, truth.device()), kept(Shape{ignored.is_any ? 1 : 0}, truth.device()) {
    const Device device = truth.device();
    const Index count = truth.size();
    const Gather<R> to{mean.mutable_data(), false};
    sum_middle<R, R>(device, 1, count, 1, losses.data(), ignored.is_any ? R(1) : 1 / static_cast<R>(count), to);
    if (!ignored.is_any) return;
    kernel::map(device, count, IsKept<R>{ignored}, Gather<R>{losses.mutable_data(), false}, truth.data());
    sum_middle<R, R>(device, 1, count, 1, losses.data(), 1, {kept.mutable_data(), false});
    kernel::map(device, 1, Forward<Divide>{}, to, std::as_const(mean).data(), std::as_const(kept).data());
  }

  /// What each position is to have of the mean's gradient, but for the share that the host knows where no label is ignored.
  Tensor<R> shared(const Tensor<R>& grad) const {
    if (kept.size() == 0) return grad;
    Tensor<R> share(Shape{}, grad.device());
    kernel::map(grad.device(), 1, ShareOfKept{}, Gather<R>{share.mutable_data(), false}, grad.data(), kept.data());
    return share;
  }
};

}  // namespace detail

namespace detail {

/// The rows of a table that `ids` name, as a tensor of this shape.   (count), (table, n) -> (count, n)
///   dx[id] = the sum of grad over the places where id stands
template <std::integral Id, Element T>
Tensor<T> rows_of(const char* op, const Tensor<Id>& ids, const Tensor<T>& x, Index table, Index n, const Shape& shape) {
  const Index count = ids.size();
  Tensor<T> y(shape, x.device());
  kernel::rows(y.device(), count, n, EmbedRows<T, Id>{ids.data(), x.data(), y.mutable_data(), table});
  if constexpr (!Floating<T>) return y;
  else return record(op, y, {{x, [=, ids = Saved<Id>(ids)](const Tensor<T>& grad, Sink<T> dx) {
    auto add_up = [&](Gather<compute<T>> sums) { kernel::scatter_rows(grad.device(), count, n, table, ids.data(), grad.data(), sums); };
    if constexpr (std::same_as<T, compute<T>>) add_up(dx.gather());
    else {                                               // 16 bits could not add up an id that stands often
      Tensor<compute<T>> sums(dx.shape(), dx.device());
      add_up({sums.mutable_data(), false});
      convert_into(sums, dx.gather());
    }
  }}});
}

/// Row ids[i % k] of block i / k, of which each has n.
template <class Id>
struct RowInBlock {
  const Id* ids; Index k, n; Index* row;
  TRICYCLE_HD void operator()(Index i) const { row[i] = i / k * n + row_of(ids[i % k], n); }
};
/// Number ids[i] of the axis in the middle: of (outer, n, inner), read at i of (outer, k, inner).
template <class Id>
struct NumberOnAxis {
  const Id* ids; Index k, n, inner; Index* place;
  TRICYCLE_HD void operator()(Index i) const { place[i] = (i / inner / k * n + row_of(ids[i], n)) * inner + i % inner; }
};

}  // namespace detail

namespace detail {
/// An id, which a mask's true and false are not: where() and masked_fill() take those.
template <class T> concept Place = std::integral<T> && !std::same_as<T, bool>;
}  // namespace detail

/// weights[id] for every id. Throws when an id is not a row of weights.   (...), (vocabulary, n) -> (..., n)
///   dweights[id] = the sum of grad over the places where id stands
template <detail::Place Id, Floating T>
Tensor<T> embed(const Tensor<Id>& ids, const Tensor<T>& weights) {
  check_together("embed", "ids are", ids, "weights", weights);
  check(weights.rank() == 2, "embed: weights of shape ", weights.shape(), " are not a table");
  Index vocabulary = weights.shape()[0], n = weights.shape()[1];
  detail::check_ids("embed", ids, vocabulary);
  return detail::rows_of("embed", ids, weights, vocabulary, n, ids.shape().followed_by({n}));
}

/// The places of an axis that `ids` name, in their order and as often as they stand there. Throws when the axis has no such place.
///   (..., n, ...) at ids of (i, j, ...) -> (..., i, j, ..., ...)
template <detail::Place Id, Element T>
Tensor<T> take(const Tensor<T>& x, const Tensor<Id>& ids, int axis = 0) {
  check_together("take", "ids are", ids, "numbers", x);
  axis = x.shape().axis(axis);
  const Index outer = x.shape().product(0, axis), n = x.shape()[axis], inner = x.shape().product(axis + 1, x.rank());
  detail::check_ids("take", ids, n);
  const Shape shape = x.shape().slice(0, axis).followed_by(ids.shape()).followed_by(x.shape().slice(axis + 1, x.rank()));
  if (outer == 1) return detail::rows_of("take", ids, x, n, inner, shape);
  Tensor<Index> rows(Shape{outer, ids.size()}, ids.device());
  kernel::each(ids.device(), rows.size(), detail::RowInBlock<Id>{ids.data(), ids.size(), n, rows.mutable_data()});
  return detail::rows_of("take", rows, x, outer * n, inner, shape);
}

/// From each line along an axis the numbers at the places that `ids` has on that line. Throws when the axis has no such place,
/// and when the shapes differ elsewhere.   (..., n, ...) at ids of (..., k, ...) -> (..., k, ...)
template <detail::Place Id, Element T>
Tensor<T> gather(const Tensor<T>& x, const Tensor<Id>& ids, int axis = -1) {
  check_together("gather", "ids are", ids, "numbers", x);
  axis = x.shape().axis(axis);
  check(ids.rank() == x.rank() && ids.shape().with(axis, 0) == x.shape().with(axis, 0), "gather: ids of shape ", ids.shape(), " for shape ", x.shape(), " differ elsewhere than on axis ", axis);
  const Index n = x.shape()[axis];
  detail::check_ids("gather", ids, n);
  Tensor<Index> places(ids.shape(), ids.device());
  kernel::each(ids.device(), places.size(), detail::NumberOnAxis<Id>{ids.data(), ids.shape()[axis], n, x.shape().product(axis + 1, x.rank()), places.mutable_data()});
  return detail::rows_of("gather", places, x, x.size(), 1, ids.shape());
}

/// The mean over all positions of -ln(softmax(logits)[truth]); over those whose truth is not `ignore_index`, if that is given. Of
/// none it is NaN.   (...), (..., classes) -> ()
///   dlogits = (softmax(logits) - one_hot(truth)) grad / positions, and 0 where the truth is ignored
template <std::integral Id, Floating T>
Tensor<compute<T>> cross_entropy(const Tensor<Id>& truth, const Tensor<T>& logits, std::optional<Index> ignore_index = std::nullopt) {
  using R = compute<T>;
  const detail::Ignored ignored(ignore_index);
  check_together("cross_entropy", "labels are", truth, "logits", logits);
  auto [count, n] = detail::row_counts("cross_entropy", logits);
  check(truth.shape() == logits.shape().slice(0, logits.rank() - 1), "cross_entropy: labels of shape ", truth.shape(), " for logits of shape ", logits.shape());
  detail::check_ids("cross_entropy", truth, n, ignored);
  const Device device = logits.device();
  Tensor<R> losses(truth.shape(), device);
  kernel::rows(device, count, n, detail::CrossEntropyForward<T, Id>{truth.data(), logits.data(), n, losses.mutable_data(), ignored});
  const detail::MeanOfKept<R> of_kept(truth, losses, ignored);
  return record("cross_entropy", of_kept.mean, {{logits, [=, count = count, n = n, truth = Saved<Id>(truth), logits = Saved<T>(logits)](const Tensor<R>& grad, Sink<T> dx) {
    const R share = ignored.is_any ? R(1) : 1 / static_cast<R>(count);
    kernel::rows(grad.device(), count, n, detail::CrossEntropyBackward<T, Id>{truth.data(), logits.data(), n, of_kept.shared(grad).data(), share, dx.gather(), ignored});
  }}});
}

}
}  // namespace tricycle
