// Skeleton 4 of 4: C = A B, many at a time, of any strides. The only file that knows Eigen; on GPUs see gemm_cuda.hpp.
#pragma once
#include <algorithm>
#include <type_traits>
#include <utility>
#ifndef EIGEN_NO_CUDA
#define EIGEN_NO_CUDA                                         // Eigen is for the host here
#endif
#ifndef __clang__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"        // g++ 12 says so of its own AVX-512 intrinsics (PR 105593)
#endif
#include <Eigen/Core>
#ifndef __clang__
#pragma GCC diagnostic pop
#endif
#include "tricycle/core/device.hpp"
#include "tricycle/core/memory.hpp"
#include "tricycle/core/row.hpp"
#include "tricycle/kernel/gemm_cuda.hpp"
#include "tricycle/kernel/gemm_micro.hpp"
#include "tricycle/kernel/threads.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace kernel {

namespace detail {

/// Working memory of one task, uninitialised.
template <class T>
class Scratch {
 public:
  explicit Scratch(Index size) : bytes_(static_cast<std::size_t>(size) * sizeof(T)) {
    if (size > 0) data_ = static_cast<T*>(memory::allocate(bytes_));
  }
  ~Scratch() { if (data_) memory::release(data_, bytes_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  T* data() const { return data_; }

 private:
  std::size_t bytes_;
  T* data_ = nullptr;
};

inline constexpr Index depth = 256;         // of a panel: it then fits the first cache
inline constexpr Index longest = 4096;      // numbers summed in a row; longer sums are pairwise
inline constexpr Index few = 4;             // rows: below, the product is as fast as B can be read

/// One block of C: its sizes, and operands that start at it. C = A B is also C^T = B^T A^T: see turned().
template <class T, class C>
struct Block {
  Index m, n, k;
  const T* a;
  const T* b;
  C* c;
  Strides sa, sb, sc;
  bool accumulate;

  static Strides turned(Strides s) { return {s.batch0, s.batch1, s.column, s.row}; }
  Block turned() const { return {n, m, k, b, a, c, turned(sb), turned(sa), turned(sc), accumulate}; }
  bool few_rows() const { return m <= few && (sb.row == 1 || sb.column == 1); }

  /// C = or += the block's sums, which lie `row` apart.
  void write(const compute<C>* sums, Index row) const {
    for (Index i = 0; i < m; ++i) {
      Index j = 0;
      if constexpr (std::is_same_v<compute<C>, float>)
        for (C* to = c + i * sc.row; sc.column == 1 && j + lanes <= n; j += lanes) {
          Pack sum = tricycle::detail::load_pack(sums + i * row + j);
          tricycle::detail::store_pack(to + j, accumulate ? tricycle::detail::load_pack(to + j) + sum : sum);
        }
      for (; j < n; ++j) {
        C& to = c[i * sc.row + j * sc.column];
        to = accumulate ? static_cast<compute<C>>(to) + sums[i * row + j] : sums[i * row + j];
      }
    }
  }
};

/// A product whose big operand is read once and as it lies: B, with at most four rows of A.
template <class T, class C>
void thin_product(const Block<T, C>& x) {
  const bool by_dots = x.sb.row == 1;
  const Index most = by_dots ? 64 * micro::wide : depth;      // numbers summed in a row, in each lane or in all
  Index a_row = split((std::min)(x.k, most), micro::wide) * micro::wide, c_row = split(x.n, micro::wide) * micro::wide;
  Index m = x.m == 3 ? 4 : x.m;             // 1, 2 and 4 rows are enough to compile
  Scratch<float> a(m * a_row), part(m * c_row), c(m * c_row);
  std::fill_n(a.data(), m * a_row, 0.0f);
  std::fill_n(c.data(), m * c_row, 0.0f);
  for (Index p = 0; p < x.k; p += a_row) {
    Index k = (std::min)(x.k - p, a_row);
    for (Index i = 0; i < x.m; ++i)
      for (Index q = 0; q < a_row; ++q) a.data()[i * a_row + q] = q < k ? static_cast<float>(x.a[i * x.sa.row + (p + q) * x.sa.column]) : 0;
    std::fill_n(part.data(), m * c_row, 0.0f);
    auto rows = [&](auto M) {
      if (by_dots) micro::dots<M()>(x.n, k, a.data(), a_row, x.b + p, x.sb.column, part.data(), c_row);
      else micro::sums<M()>(x.n, k, a.data(), a_row, x.b + p * x.sb.row, x.sb.row, part.data(), c_row);
    };
    if (m == 1) rows(std::integral_constant<int, 1>{});
    else if (m == 2) rows(std::integral_constant<int, 2>{});
    else rows(std::integral_constant<int, 4>{});
    for (Index i = 0; i < m * c_row; ++i) c.data()[i] += part.data()[i];
  }
  x.write(c.data(), c_row);
}

/// The rows of a tile column: as many tiles of R rows as there are, then shorter ones.
template <int R>
void tiles(Index m, Index& i, auto&& one) {
  for (; i + R <= m; i += R) one(std::integral_constant<int, R>{});
  if constexpr (R > 1) tiles<micro::shorter(R)>(m, i, one);
}

/// C by tiles in registers. B is packed into panels as wide as a tile, unless its rows can be read as they lie; so is A, a
/// tile at a time, but its floats can nearly always be read in place: measured, that is quicker.
template <class T, class C>
void packed_product(Block<T, C> x) {
  constexpr bool in_place = std::is_same_v<T, float>;
  // Rows a multiple of a page apart fall into the same few places of the caches: those are read once and packed, too.
  auto in_the_way = [](Index stride) { return stride != 0 && stride * 4 % 4096 == 0; };
  bool pack_a = !in_place || ((in_the_way(x.sa.row) || in_the_way(x.sa.column)) && x.n >= 128);
  bool pack_b = !in_place || x.sb.column != 1 || (in_the_way(x.sb.row) && x.m >= 64);
  bool direct = std::is_same_v<C, float> && x.sc.column == 1;
  if (Index rest = x.n % micro::panel; rest > 0 && rest <= few && (x.sa.row == 1 || x.sa.column == 1)) {
    Block<T, C> last = x.turned();          // not worth a padded panel
    x.n -= rest;
    last.m = rest, last.a += x.n * x.sb.column, last.c += x.n * x.sc.column;
    thin_product(last);
  }
  Index panels = split(x.n, micro::panel), k_most = (std::min)(x.k, depth);
  Index padded = panels * micro::panel;
  Scratch<float> b_panels(k_most * (pack_b ? padded : micro::panel)), a_tile(pack_a ? micro::tallest * k_most : 0);
  Scratch<float> c_block(direct ? 0 : x.m * padded);
  alignas(64) float edge[micro::tallest * micro::panel];      // a tile that C has not all the columns of
  float* c = c_block.data();
  Index c_row = padded;
  if constexpr (std::is_same_v<C, float>) if (direct) c = x.c, c_row = x.sc.row;

  for (Index p = 0; p < x.k; p += depth) {
    Index k = (std::min)(x.k - p, depth);
    bool add = p > 0 || (direct && x.accumulate);
    const T* b = x.b + p * x.sb.row;
    for (Index j = pack_b ? 0 : panels - 1; j < panels; ++j) {           // the last one may have to be padded
      Index columns = (std::min)(x.n - j * micro::panel, micro::panel);
      if (pack_b || columns < micro::panel)
        micro::pack(b_panels.data() + (pack_b ? j * k * micro::panel : 0), micro::panel, b + j * micro::panel * x.sb.column, columns, x.sb.column,
                    k, x.sb.row);
    }
    Index i = 0;
    tiles<micro::tallest>(x.m, i, [&](auto rows) {
      constexpr int R = rows();
      const T* a = x.a + i * x.sa.row + p * x.sa.column;
      const float* tile_a = nullptr;
      Index a_row = x.sa.row, a_column = x.sa.column;
      if constexpr (in_place) tile_a = a;
      if (pack_a) {
        micro::pack(a_tile.data(), R, a, R, a_row, k, a_column);
        tile_a = a_tile.data(), a_row = 1, a_column = R;
      }
      for (Index j = 0; j < panels; ++j) {
        Index columns = (std::min)(x.n - j * micro::panel, micro::panel);
        const float* tile_b = b_panels.data() + (pack_b ? j * k * micro::panel : 0);
        Index b_row = micro::panel;
        if constexpr (in_place) if (!pack_b && columns == micro::panel) tile_b = b + j * micro::panel, b_row = x.sb.row;
        float* to = c + i * c_row + j * micro::panel;
        if (columns == micro::panel || !direct) {
          micro::tile<R>(k, tile_a, a_row, a_column, tile_b, b_row, to, c_row, add);
        } else {
          micro::tile<R>(k, tile_a, a_row, a_column, tile_b, b_row, edge, micro::panel, false);
          for (Index r = 0; r < R; ++r)
            for (Index q = 0; q < columns; ++q) to[r * c_row + q] = (add ? to[r * c_row + q] : 0) + edge[r * micro::panel + q];
        }
      }
    });
  }
  if (!direct) x.write(c, c_row);
}

/// Double by Eigen, so that gradients are checked against a product that we did not write. All of it is copied into aligned
/// blocks first: Eigen takes no two strides, and the order of its sums depends on where in memory its operands begin.
template <std::same_as<double> T>
void eigen_product(const Block<T, T>& x) {
  using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Scratch<T> a(x.m * x.k), b(x.k * x.n), c(x.m * x.n);
  auto copy = [](const T* from, Strides s, Index rows, Index columns, T* to) {
    for (Index i = 0; i < rows; ++i)
      for (Index j = 0; j < columns; ++j) to[i * columns + j] = from[i * s.row + j * s.column];
  };
  copy(x.a, x.sa, x.m, x.k, a.data());
  copy(x.b, x.sb, x.k, x.n, b.data());
  Eigen::Map<Matrix>(c.data(), x.m, x.n).noalias() = Eigen::Map<Matrix>(a.data(), x.m, x.k) * Eigen::Map<Matrix>(b.data(), x.k, x.n);
  x.write(c.data(), x.n);
}

/// Everything else by its definition. Integers wrap around as they do in NumPy: modulo a power of two.
template <class T>
void plain_product(const Block<T, T>& x) {
  using Sum = std::conditional_t<std::is_integral_v<T>, std::uint64_t, compute<T>>;
  for (Index i = 0; i < x.m; ++i)
    for (Index j = 0; j < x.n; ++j) {
      T& to = x.c[i * x.sc.row + j * x.sc.column];
      Sum sum = x.accumulate ? static_cast<Sum>(to) : Sum(0);
      for (Index p = 0; p < x.k; ++p)
        sum += static_cast<Sum>(x.a[i * x.sa.row + p * x.sa.column]) * static_cast<Sum>(x.b[p * x.sb.row + j * x.sb.column]);
      to = static_cast<T>(sum);
    }
}

template <class T, class C>
void product(const Block<T, C>& x) {
  if constexpr (std::is_same_v<T, double>) eigen_product(x);
  else if constexpr (std::is_same_v<compute<T>, float>) {
    if (x.few_rows()) thin_product(x);
    else packed_product(x);
  } else plain_product(x);
}

/// A batch of products, in tasks: sums that are very long are split and added pairwise, then C is cut into blocks.
template <class T, class C>
void products(Index batch0, Index batch1, Block<T, C> x) {
  Index batches = batch0 * batch1;
  if (batches == 0 || x.m == 0 || x.n == 0) return;
  if (!x.few_rows() && (x.turned().few_rows() || (x.sc.column != 1 && x.sc.row == 1))) x = x.turned();
  auto at = [&](Index batch) {
    Block<T, C> one = x;
    Index b0 = batch / batch1, b1 = batch % batch1;
    one.a += b0 * x.sa.batch0 + b1 * x.sa.batch1;
    one.b += b0 * x.sb.batch0 + b1 * x.sb.batch1;
    one.c += b0 * x.sc.batch0 + b1 * x.sc.batch1;
    return one;
  };

  if (x.k == 0) {
    x.sa = x.sb = {};                       // operands without a number may be null pointers
    for (Index batch = 0; batch < (x.accumulate ? 0 : batches); ++batch)
      for (Index i = 0; i < x.m; ++i)
        for (Index j = 0; j < x.n; ++j) at(batch).c[i * x.sc.row + j * x.sc.column] = C(0);
    return;
  }

  if (Floating<T> && x.k > longest) {
    using Sum = compute<T>;
    Scratch<Sum> sums(batches * x.m * x.n);
    Block<T, Sum> rest{x.m, x.n, x.k, x.a, x.b, sums.data(), x.sa, x.sb, {batch1 * x.m * x.n, x.m * x.n, x.n, 1}, false};
    if constexpr (std::is_same_v<C, Sum>) {                   // C can hold the first half; else the sum is made elsewhere, and rounded once
      x.k = split(x.k, longest) / 2 * longest;
      products(batch0, batch1, x);
      rest.k -= x.k, rest.a += x.k * x.sa.column, rest.b += x.k * x.sb.row;
      x.accumulate = true;
    }
    products(batch0, batch1, rest);
    for (Index batch = 0; batch < batches; ++batch) at(batch).write(sums.data() + batch * x.m * x.n, x.n);
    return;
  }

  // Some 16 tasks, but none too small. Each block packs what it must, so what has to be packed is cut first: the columns of
  // a B that lies column by column; but the rows of 16-bit types, whose A costs more to pack than B.
  const bool thin = x.few_rows();
  const double volume = double(batches) * double(x.m) * double(x.n) * double(x.k), least = thin ? 1 << 16 : 1 << 19, most = 1 << 26;
  const double target = (std::min)((std::max)(volume / 16, least), most);
  Index rows = split(x.m, 384), columns = thin ? 1 : split(x.n, 256);
  const Index narrowest = thin && x.sb.row != 1 ? 2048 : 2 * micro::panel;   // whole pages, where rows of B are read
  auto height = [&] { return split(x.m, rows); };
  auto width = [&] { return split(x.n, columns); };
  auto work = [&] { return double(height()) * double(width()) * double(x.k); };
  while (work() > target) {
    bool wider = Short<T> ? width() >= 4 * height() : x.sb.column != 1 || 2 * width() >= height();
    if (width() >= narrowest && (thin || wider || height() < 8 * micro::tallest)) columns *= 2;
    else if (height() >= 8 * micro::tallest) rows *= 2;
    else break;
  }
  Index block_m = split(height(), micro::tallest) * micro::tallest, block_n = split(width(), micro::panel) * micro::panel;
  rows = split(x.m, block_m), columns = split(x.n, block_n);
  Index blocks = batches * rows * columns, together = work() < target / 2 ? static_cast<Index>(target / (std::max)(work(), 1.0)) : 1;
  parallel(split(blocks, together), [&](Index task) {
    for (Index block = task * together; block < (std::min)((task + 1) * together, blocks); ++block) {
      Index i = block % rows * block_m, j = block / rows % columns * block_n;
      Block<T, C> part = at(block / rows / columns);
      part.m = (std::min)(block_m, x.m - i), part.n = (std::min)(block_n, x.n - j);
      part.a += i * x.sa.row, part.b += j * x.sb.column, part.c += i * x.sc.row + j * x.sc.column;
      product(part);
    }
  });
}

}  // namespace detail

/// C = or += A B for a batch of matrices, in at least float; 16-bit types are rounded once, at the end, or not at all where
/// C is of floats. No element of C may lie in A
/// or B, nor be another's. Throws on a GPU for integers, which cuBLASLt does not multiply.
template <class T, class C>
void gemm(Device device, const Gemm& g, const T* a, const T* b, C* c) {
#ifdef TRICYCLE_CUDA
  if (!device.is_cpu()) {
    if constexpr (Floating<T>) return detail::gemm_on_gpu(device, g, a, b, c);
    else fail("gemm: products of integers are made on the CPU only, not on ", device);
  }
#else
  check(device.is_cpu(), "gemm: ", device, " was asked for, but this program was built for the CPU alone");
#endif
  detail::products<T, C>(g.batch0, g.batch1, {g.m, g.n, g.k, a, b, c, g.a, g.b, g.c, g.accumulate});
}

}  // namespace kernel
}
}  // namespace tricycle
