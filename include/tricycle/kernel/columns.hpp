// Skeleton 3 of 4: sums over leading axes. (bias, gamma, sum over axis 0)
#pragma once
#include <vector>
#include "tricycle/core/memory.hpp"
#include "tricycle/kernel/rows.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace kernel {
namespace detail {

/// The sum over rows [from, to) of f(row, i), added in pairs.
TRICYCLE_HOST_CALLS template <class R, class F, class I>
TRICYCLE_HD R down(Index from, Index to, F& f, I i) {
  if (to - from > 32) {
    Index middle = from + (to - from) / 2;
    return down<R>(from, middle, f, i) + down<R>(middle, to, f, i);
  }
  R sum(0);
  for (Index r = from; r < to; ++r) sum = sum + f(r, i);
  return sum;
}

}  // namespace detail

/// For each of `batches`: out[i] = the sum over `rows` of f(row, i), for every i < n. f's rows are counted through all
/// batches; T is what its numbers are computed in. Two stages: the rows are cut into splits by the shape alone, each split
/// is summed, then the splits are.
template <class T, class F, class Out>
void columns(Device, Index batches, Index rows, Index n, F f, Gather<Out> out) {
  constexpr bool wide = is_wide<F>;
  using R = std::conditional_t<wide, Pack, T>;
  Index strip = (std::max)(Index{256}, grain / (std::max)(Index{1}, rows) / 64 * 64);   // columns to a task: some cache lines of each row
  Index strips = (n + strip - 1) / strip, height = (std::max)(Index{64}, 4 * grain / (std::max)(Index{1}, (std::min)(n, strip)));
  Index splits = (std::max)(Index{1}, (rows + height - 1) / height);

  auto run = [&](Index tasks, auto task) {
    if (batches * rows * n < serial_below()) for (Index t = 0; t < tasks; ++t) task(t);
    else parallel(tasks, task);
  };
  auto over = [&](Index s, auto g) { loop<wide>(s * strip, (std::min)((s + 1) * strip, n), g); };
  auto to = [&](Index batch) { return Gather<Out>{out.at + batch * n, out.add}; };

  if (splits == 1)
    return run(batches * strips, [&](Index task) {
      Index batch = task / strips;
      over(task % strips, [&, row = to(batch)](auto i) { row[i] = detail::down<R>(batch * rows, (batch + 1) * rows, f, i); });
    });

  std::vector<T, memory::Allocator<T>> parts(static_cast<std::size_t>(batches * splits * n));
  run(batches * splits * strips, [&](Index task) {
    Index split = task / strips, batch = split / splits, from = split % splits * height;
    Row<T> part{parts.data() + split * n};
    over(task % strips, [&](auto i) { part[i] = detail::down<R>(batch * rows + from, batch * rows + (std::min)(from + height, rows), f, i); });
  });
  auto part = [&](Index split, auto i) { return Row<const T>{parts.data() + split * n}[i]; };
  run(batches * strips, [&](Index task) {
    Index batch = task / strips;
    over(task % strips, [&, row = to(batch)](auto i) { row[i] = detail::down<R>(batch * splits, (batch + 1) * splits, part, i); });
  });
}

}  // namespace kernel
}
}  // namespace tricycle
