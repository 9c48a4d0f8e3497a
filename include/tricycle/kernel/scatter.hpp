// Rows added up by the ids they belong to, each id's in the order in which they stand, so that no thread matters.
#pragma once
#include "tricycle/kernel/rows.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace kernel {

namespace detail {

/// A strip of columns of the whole table.
template <class T, class Id>
struct ScatterStrip {
  static constexpr bool wide = std::same_as<compute<T>, float>;
  static constexpr Index width = 64;
  Index count, n, table; const Id* ids; const T* x; Gather<compute<T>> out;
  void operator()(Index strip) const {
    Index from = strip * width, to = (std::min)(from + width, n);
    for (Index r = 0; r < table && !out.add; ++r) std::fill(out.at + r * n + from, out.at + r * n + to, compute<T>(0));
    for (Index r = 0; r < count; ++r) {
      Gather<compute<T>> sum{out.at + static_cast<Index>(ids[r]) * n, true};
      Row<const T> row{x + r * n};
      loop<wide>(from, to, [&](auto i) { sum[i] = row[i]; });
    }
  }
};

#ifdef TRICYCLE_CUDA
// On a GPU the places of each id are listed first, in order, by a counting sort. Integers alone are added among threads, and
// where the list of an id lies depends on chance, but not what is in it.
template <class Id>
struct Lists {
  const Id* ids; Index table;
  int *counts, *begins, *filled, *total;                 // (table) each, and a number
  int *places, *sorted;                                  // (count) each
  TRICYCLE_HD Index list_of(Index i) const {
    auto id = static_cast<Index>(ids[i]);
    return id >= 0 && id < table ? id : 0;               // an id out of range has raised the alarm: nothing comes of this sum
  }
};
template <class Id>
struct CountPlace : Lists<Id> {
  TRICYCLE_HD void operator()(Index i) const { gpu::add_among_threads(&this->counts[this->list_of(i)], 1); }
};
template <class Id>
struct ReserveList : Lists<Id> {
  TRICYCLE_HD void operator()(Index id) const { this->begins[id] = gpu::add_among_threads(this->total, this->counts[id]); }
};
template <class Id>
struct FillList : Lists<Id> {
  TRICYCLE_HD void operator()(Index i) const {
    Index id = this->list_of(i);
    this->places[this->begins[id] + gpu::add_among_threads(&this->filled[id], 1)] = static_cast<int>(i);
  }
};
/// Each place finds how many of its list are before it.
template <class Id>
struct SortList : Lists<Id> {
  TRICYCLE_HD void operator()(Index i) const {
    Index id = this->list_of(i), begin = this->begins[id], end = begin + this->counts[id], rank = begin;
    for (Index j = begin; j < end; ++j) rank += this->places[j] < i;
    this->sorted[rank] = static_cast<int>(i);
  }
};
template <class T, class Id>
struct SumList : Lists<Id> {
  static constexpr bool wide = std::same_as<compute<T>, float>;
  const T* x; Gather<compute<T>> out;
  SumList(const Lists<Id>& lists, const T* numbers, Gather<compute<T>> to) : Lists<Id>(lists), x(numbers), out(to) {}
  template <class Team> TRICYCLE_HD void operator()(Team row) const {
    Index begin = this->begins[row.index], end = begin + this->counts[row.index];
    if (begin == end && out.add) return;
    Gather<compute<T>> to{out.at + row.index * row.n, out.add};
    row.each([&](auto i) {
      Number<T, decltype(i)> sum(0);
      for (Index j = begin; j < end; ++j) sum = sum + Row<const T>{x + this->sorted[j] * row.n}[i];
      to[i] = sum;
    });
  }
};

template <class T, class Id>
void scatter_on_gpu(Device device, Index count, Index n, Index table, const Id* ids, const T* x, Gather<compute<T>> out) {
  gpu::Scratch<int> lists(3 * table + 1 + 2 * count, device);
  int* at = lists.data();
  Lists<Id> all{ids, table, at, at + table, at + 2 * table, at + 3 * table, at + 3 * table + 1, at + 3 * table + 1 + count};
  gpu::check(cudaMemsetAsync(at, 0, static_cast<std::size_t>(3 * table + 1) * sizeof(int), gpu::stream(device)), "cudaMemset");
  each(device, count, CountPlace<Id>{all});
  each(device, table, ReserveList<Id>{all});
  each(device, count, FillList<Id>{all});
  each(device, count, SortList<Id>{all});
  rows(device, table, n, SumList<T, Id>(all, x, out));
}
#endif

}  // namespace detail

/// x (count, n), ids (count) -> out (table, n): row `id` is, or is added, the sum of x[i] over all i for which ids[i] is id.
/// The ids must be below `table`.
template <class T, class Id>
void scatter_rows(Device device, Index count, Index n, Index table, const Id* ids, const T* x, Gather<compute<T>> out) {
#ifdef TRICYCLE_CUDA
  if (!device.is_cpu()) return detail::scatter_on_gpu(device, count, n, table, ids, x, out);
#endif
  (void)device;
  detail::ScatterStrip<T, Id> strip{count, n, table, ids, x, out};
  parallel((n + strip.width - 1) / strip.width, strip);
}

}  // namespace kernel
}
}  // namespace tricycle
