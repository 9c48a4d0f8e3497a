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
// On a GPU the rows are first listed by id, and each id's as they stand: such a list has but one order, so that no chance can
// change a sum. It is cut into chunks of one length, so that few ids keep a GPU as busy as many.
struct alignas(8) Listed {
  int id = -1, place = -1;                               // none
  TRICYCLE_HD bool operator<(Listed b) const { return id != b.id ? id < b.id : place < b.place; }
};

/// The rows as they come.
template <class Id>
struct Unlisted {
  const Id* ids; Index table;
  TRICYCLE_HD Listed operator[](Index i) const {
    auto id = static_cast<Index>(ids[i]);
    return {id >= 0 && id < table ? static_cast<int>(id) : 0, static_cast<int>(i)};   // an id out of range has raised the alarm: nothing comes of this sum
  }
};

/// Sorted runs of the list are joined: a row goes behind all rows that come before it in any of them.
template <class From>
struct MergeRuns {
  static constexpr Index ways = 16;
  From from; Index count, run; Listed* to;
  TRICYCLE_HD void operator()(Index i) const {
    const Listed mine = from[i];
    Index first = i - i % (ways * run), last = first + ways * run < count ? first + ways * run : count, rank = first;
    for (Index begin = first; begin < last; begin += run) {
      Index low = begin, high = begin + run < last ? begin + run : last;
      while (low < high) {
        Index middle = low + (high - low) / 2;
        if (from[middle] < mine) low = middle + 1;
        else high = middle;
      }
      rank += low - begin;
    }
    to[rank] = mine;
  }
};

/// Each thread has one pack of columns, or one column, of a chunk of the list. An id that stands in no other chunk is done; of
/// one that goes on from the chunk before, or into the next, the part is stored, and listed anew.
template <class T>
struct SumChunks {
  static constexpr int threads = 256, at_once = 4;
  static constexpr Index height = 32;
  static constexpr bool wide = std::same_as<compute<T>, float>;
  Index count, n; const Listed* list; const T* x; Gather<compute<T>> out; compute<T>* parts; Listed* list_of_parts;
  TRICYCLE_HD void operator()() const {
    constexpr Index mine = wide ? lanes : 1;
    Index pieces = kernel::split(n, mine), piece = gpu::block() * threads + gpu::thread();
    Index chunk = piece / pieces, from = (piece - chunk * pieces) * mine, first = chunk * height, last = first + height < count ? first + height : count;
    if (first >= count) return;
    const int before = first > 0 ? list[first - 1].id : -1, after = last < count ? list[last].id : -1, part = static_cast<int>(2 * chunk);
    if (from == 0 && count > height) {
      list_of_parts[part] = before >= 0 && list[first].id == before ? Listed{before, part} : Listed{};
      list_of_parts[part + 1] = after >= 0 && list[last - 1].id == after ? Listed{after, after == before ? -1 : part + 1} : Listed{};
    }
    at_piece<wide>(from, n, tricycle::detail::rows_are_aligned(x, n), [&](auto i) {
      using R = Number<T, decltype(i)>;
      R total(0);
      int id = -1;                                       // whose total it is
      for (Index r = first; r <= last; r += at_once) {   // what is behind the last ends its id
        Listed row[at_once];
        R numbers[at_once];
        for (int k = 0; k < at_once; ++k) row[k] = r + k < last ? list[r + k] : Listed{};
        for (int k = 0; k < at_once; ++k) numbers[k] = row[k].place < 0 ? R(0) : R(Row<const T>{x + row[k].place * n}[i]);
        for (int k = 0; k < at_once; ++k) {
          if (row[k].id != id) {
            bool done = id != before && id != after;
            if (id >= 0) (done ? Gather<compute<T>>{out.at + id * n, out.add} : Gather<compute<T>>{parts + (part + (id != before)) * n, false})[i] = total;
            total = R(0), id = row[k].id;
          }
          total = total + numbers[k];
        }
      }
    });
  }
};

template <class T>
void sum_list(Device device, Index count, Index n, const Listed* list, const T* x, Gather<compute<T>> out) {
  using Kernel = SumChunks<T>;
  Index chunks = kernel::split(count, Kernel::height), parts = chunks > 1 ? 2 * chunks : 0;
  gpu::Scratch<compute<T>> sums(parts * n, device);
  gpu::Scratch<Listed> listed(parts, device);
  gpu::launch(device, kernel::split(chunks * kernel::split(n, Kernel::wide ? gpu_lanes : 1), Kernel::threads), Kernel{count, n, list, x, out, sums.data(), listed.data()});
  if (parts > 0) sum_list<compute<T>>(device, parts, n, listed.data(), sums.data(), out);
}

template <class T, class Id>
void scatter_on_gpu(Device device, Index count, Index n, Index table, const Id* ids, const T* x, Gather<compute<T>> out) {
  constexpr Index most = 0x7fffffff, ways = MergeRuns<Unlisted<Id>>::ways;
  check(count <= most && table <= most, "cuda: rows of ", count, " ids cannot be added up into a table of ", table);
  if (!out.add) gpu::check(cudaMemsetAsync(out.at, 0, static_cast<std::size_t>(table * n) * sizeof *out.at, gpu::stream(device)), "cudaMemset");
  if (count == 0 || n == 0) return;
  gpu::Scratch<Listed> lists(2 * count, device);
  Listed *list = lists.data(), *other = list + count;
  each(device, count, MergeRuns<Unlisted<Id>>{{ids, table}, count, 1, list});
  for (Index run = ways; run < count; run *= ways, std::swap(list, other)) each(device, count, MergeRuns<const Listed*>{list, count, run, other});
  sum_list(device, count, n, list, x, out);
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
