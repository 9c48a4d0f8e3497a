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

/// f(row, i) for rows that lie in memory.
template <class T, bool in_packs>
struct StoredRows {
  static constexpr bool wide = in_packs;
  const T* x;
  Index n;
  TRICYCLE_HD auto operator()(Index row, auto i) const { return Row<const T>{x + row * n}[i]; }
  TRICYCLE_HD bool aligned() const { return tricycle::detail::rows_are_aligned(x, n); }
};

#ifdef TRICYCLE_CUDA
/// The sum of f(row) over rows [from, to), each four of them on their way at once.
template <class R, class F>
TRICYCLE_HD R in_fours(Index from, Index to, F f) {
  R sum(0);
  for (; from + 4 <= to; from += 4) {
    R a = f(from), b = f(from + 1), c = f(from + 2), d = f(from + 3);
    sum = sum + ((a + b) + (c + d));
  }
  for (; from < to; ++from) sum = sum + f(from);
  return sum;
}

/// On a GPU each thread has one pack of columns, or one column, of `height` rows of a batch.
template <class T, class F, class Out>
struct ColumnsOnGpu {
  static constexpr int threads = 256;
  static constexpr Index height = 64;
  Index batches, rows, n, splits;
  F f;
  Gather<Out> out;                                       // (batches, splits, n)
  TRICYCLE_HD void operator()() const {
    constexpr Index mine = is_wide<F> ? lanes : 1;
    Index pieces = kernel::split(n, mine), piece = gpu::block() * threads + gpu::thread();
    Index split = piece / pieces, from = (piece - split * pieces) * mine, batch = split / splits;
    if (batch >= batches) return;
    Index first = (split - batch * splits) * height, last = first + height < rows ? first + height : rows;
    Gather<Out> to{out.at + split * n, out.add};
    at_piece<is_wide<F>>(from, n, f.aligned(), [&](auto i) {
      to[i] = in_fours<Number<T, decltype(i)>>(batch * rows + first, batch * rows + last, [&](Index row) { return f(row, i); });
    });
  }
};

template <class T, class F, class Out>
void columns_on_gpu(Device device, Index batches, Index rows, Index n, F f, Gather<Out> out) {
  if (n == 0) return;
  using Kernel = ColumnsOnGpu<T, F, Out>;
  auto blocks = [&](Index splits) { return kernel::split(batches * splits * kernel::split(n, is_wide<F> ? gpu_lanes : 1), Kernel::threads); };
  Index splits = kernel::split(rows, Kernel::height);
  if (splits <= 1) return gpu::launch(device, blocks(1), Kernel{batches, rows, n, 1, f, out});
  gpu::Scratch<T> parts(batches * splits * n, device);
  gpu::launch(device, blocks(splits), ColumnsOnGpu<T, F, T>{batches, rows, n, splits, f, {parts.data(), false}});
  columns_on_gpu<T>(device, batches, splits, n, StoredRows<T, is_wide<F>>{parts.data(), n}, out);
}
#endif

}  // namespace detail

/// For each of `batches`: out[i] = the sum over `rows` of f(row, i), for every i < n. f's rows are counted through all
/// batches; T is what its numbers are computed in. Two stages: the rows are cut into splits by the shape alone, each split
/// is summed, then the splits are.
template <class T, class F, class Out>
void columns(Device device, Index batches, Index rows, Index n, F f, Gather<Out> out) {
#ifdef TRICYCLE_CUDA
  if (!device.is_cpu()) return detail::columns_on_gpu<T>(device, batches, rows, n, f, out);
#endif
  (void)device;
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
  detail::StoredRows<T, wide> part{parts.data(), n};
  run(batches * strips, [&](Index task) {
    Index batch = task / strips;
    over(task % strips, [&, row = to(batch)](auto i) { row[i] = detail::down<R>(batch * splits, (batch + 1) * splits, part, i); });
  });
}

}  // namespace kernel
}
}  // namespace tricycle
