// Products of small matrices that a warp makes together on the tensor cores, with operands in shared memory or in what an
// earlier product left in registers. A float is multiplied as two numbers of few bits each, so that it keeps its digits.
#pragma once
#include "tricycle/kernel/each.hpp"
#ifdef TRICYCLE_CUDA

// Before a loop that is not to be written out: that would take registers from what matters.
#ifdef __CUDACC__
#define TRICYCLE_ROLLED _Pragma("unroll 1")
#else
#define TRICYCLE_ROLLED
#endif

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace kernel {

/// Rows of `size` numbers in shared memory. Each is followed by 16 bytes that nobody uses: so the rows that a warp reads
/// at once lie in different banks.
template <class T, int size>
struct Panel {
  static constexpr int stride = size + static_cast<int>(16 / sizeof(T));
  T* at;
  TRICYCLE_HD Panel from(int row) const { return {at + row * stride}; }
};

/// One of the numbers that a lane has of a matrix: the how manieth it is, in the first or the second of the lane's two rows,
/// and in which column.
struct Place { int number, which, column; };

/// (16, columns) sums in the registers of a warp. A lane has of each 8 columns two neighbours, in two rows that are 8 apart.
template <int columns>
struct Sums {
  static constexpr int each_lane = columns / 2;
  float at[columns / 8][4]{};

  TRICYCLE_HD static int lane() { return gpu::thread() % gpu::warp; }
  /// The first or second row of this lane.
  TRICYCLE_HD static int row(int which) { return lane() / 4 + 8 * which; }
  TRICYCLE_HD static Place place(int number) { return {number, number / 2 % 2, number / 4 * 8 + lane() % 4 * 2 + number % 2}; }

  /// f(number, place) for all that this lane has; f(number, place, number of `other`) of two together.
  template <class F, class... Other>
  TRICYCLE_HD void each(F f, Other&... other) {
    for (int j = 0; j < columns / 8; ++j)
      for (int i = 0; i < 4; ++i) f(at[j][i], place(4 * j + i), other.at[j][i]...);
  }
};

/// x, which all four lanes of a row have a part of, joined.
template <class Join>
TRICYCLE_HD float among_row(float x, Join join) {
  x = join(x, gpu::from_lane_across(x, 1));
  return join(x, gpu::from_lane_across(x, 2));
}

/// A float as the sum of two with 10 bits of mantissa, as the tensor cores have them; what is lost is 2^-23 of it. Three of
/// the four products of such sums give a product of floats. (Ootomo and Yokota, arXiv:2203.03341)
struct Halves {
  std::uint32_t high, low;
  TRICYCLE_HD explicit Halves(std::uint32_t bits) {
    constexpr std::uint32_t kept = 0xffffe000u, half_of_the_rest = 0x1000u;
    high = (bits + half_of_the_rest) & kept;
    low = __builtin_bit_cast(std::uint32_t, __builtin_bit_cast(float, bits) - __builtin_bit_cast(float, high)) & kept;
  }
};

/// The left operand of one step of a product: 16 rows of `depth` numbers.
template <class T>
struct Left {
  static constexpr int depth = 16;
  std::uint32_t r[4];
  TRICYCLE_HD void set(const std::uint32_t (&bits)[4]) {
    for (int i = 0; i < 4; ++i) r[i] = bits[i];
  }
  TRICYCLE_HD void times(std::uint32_t b_0, std::uint32_t b_1, float (&c)[4]) const { gpu::multiply<T>(c, r, b_0, b_1); }
};
template <>
struct Left<float> {
  static constexpr int depth = 8;
  std::uint32_t high[4], low[4];
  TRICYCLE_HD void set(const std::uint32_t (&bits)[4]) {
    for (int i = 0; i < 4; ++i) {
      Halves x(bits[i]);
      high[i] = x.high, low[i] = x.low;
    }
  }
  TRICYCLE_HD void times(std::uint32_t b_0, std::uint32_t b_1, float (&c)[4]) const {
    Halves x(b_0), y(b_1);
    gpu::multiply<float>(c, low, x.high, y.high);        // the small ones first
    gpu::multiply<float>(c, high, x.low, y.low);
    gpu::multiply<float>(c, high, x.high, y.high);
  }
};

/// c += a bᵀ.   a (16, size), b (columns, size) -> (16, columns)
template <class T, int size, int columns>
TRICYCLE_HD void rows_dot(Sums<columns>& c, Panel<T, size> a, Panel<T, size> b) {
  constexpr int depth = Left<T>::depth, half = depth / 2;
  const int lane = c.lane();
  const T* from_a = a.at + lane % 16 * a.stride + lane / 16 * half;                                  // upper rows, lower rows; then what is right of them
  const T* from_b = b.at + (lane / 16 * 8 + lane % 8) * b.stride + lane / 8 % 2 * half;              // left and right of 8 rows; then of the next 8
  for (int k = 0; k < size; k += depth) {
    std::uint32_t bits[4];
    Left<T> left;
    gpu::load_matrices(bits, from_a + k);
    left.set(bits);
    for (int j = 0; j < columns / 8; j += 2) {
      gpu::load_matrices(bits, from_b + j * 8 * b.stride + k);
      left.times(bits[0], bits[1], c.at[j]);
      left.times(bits[2], bits[3], c.at[j + 1]);
    }
  }
}

/// Columns `k depth` to `(k + 1) depth` of sums, as the left operand of a product: they are in the right lanes already. (Of
/// floats every other column comes first; right() has the rows in the same order.)
template <class T, int columns>
TRICYCLE_HD Left<T> left(const Sums<columns>& sums, int k) {
  Left<T> operand;
  if constexpr (sizeof(T) == 4) {
    const auto& s = sums.at[k];
    auto bits = [](float x) { return __builtin_bit_cast(std::uint32_t, x); };
    operand.set({bits(s[0]), bits(s[2]), bits(s[1]), bits(s[3])});
  } else {
    const auto &s = sums.at[2 * k], &t = sums.at[2 * k + 1];
    operand.set({gpu::pair<T>(s[0], s[1]), gpu::pair<T>(s[2], s[3]), gpu::pair<T>(t[0], t[1]), gpu::pair<T>(t[2], t[3])});
  }
  return operand;
}

/// The right operands of one step: the first `depth` rows of `panel`, in columns `column` to `column` + 16.
template <class T, int size>
TRICYCLE_HD void right(std::uint32_t (&bits)[4], Panel<T, size> panel, int column) {
  const int lane = gpu::thread() % gpu::warp;
  if constexpr (sizeof(T) == 4) {
    for (int i = 0; i < 4; ++i) bits[i] = __builtin_bit_cast(std::uint32_t, panel.at[(lane % 4 * 2 + i % 2) * panel.stride + column + i / 2 * 8 + lane / 4]);
  } else {
    gpu::load_matrices<true>(bits, panel.at + lane % 16 * panel.stride + column + lane / 16 * 8);
  }
}

/// c += w b.   w (16, rows), b (rows, size) -> (16, size)
/// Of floats, what comes of these few rows is added up by itself first: tensor cores cut off what they add to large sums.
template <class T, int size, int rows>
TRICYCLE_HD void mix(Sums<size>& c, const Sums<rows>& w, Panel<T, size> b) {
  constexpr int depth = Left<T>::depth;
  constexpr bool apart = sizeof(T) == 4;
  Left<T> operand[rows / depth];
  for (int k = 0; k < rows / depth; ++k) operand[k] = left<T>(w, k);
  for (int j = 0; j < size / 8; j += 2) {
    float few[2][4]{};
    float(*sum)[4] = apart ? few : c.at + j;
    for (int k = 0; k < rows / depth; ++k) {
      std::uint32_t bits[4];
      right(bits, b.from(k * depth), j * 8);
      operand[k].times(bits[0], bits[1], sum[0]);
      operand[k].times(bits[2], bits[3], sum[1]);
    }
    if constexpr (apart)
      for (int i = 0; i < 4; ++i) c.at[j][i] += few[0][i], c.at[j + 1][i] += few[1][i];
  }
}

/// Begin to copy `there` rows of n numbers, which stand `stride` apart, into a panel of `rows` rows, by all threads of a block;
/// the rest of it becomes 0. `wide`: may 16 bytes be read at once?
template <int threads, int rows, class T, int size>
TRICYCLE_HD void fill(Panel<T, size> to, const T* from, Index stride, int there, int n, bool wide) {
  constexpr int numbers = static_cast<int>(16 / sizeof(T)), in_row = size / numbers, at_once = threads / in_row, each = (rows + at_once - 1) / at_once;
  const int first = gpu::thread() / in_row, column = gpu::thread() % in_row * numbers;
  if (first >= at_once) return;                          // of 96 numbers 128 threads cannot move whole rows
  if (wide) {
    T* at = to.at + first * to.stride + column;
    const T* of = from + first * stride + column;
    if (rows % at_once == 0 && there >= rows && n == size) {                             // as most are
      for (int i = 0; i < each; ++i) gpu::begin_copy<16>(at + i * at_once * to.stride, of + i * at_once * stride, true);
      return;
    }
    TRICYCLE_ROLLED
    for (int row = first; row < rows; row += at_once) {
      const bool is_there = row < there && column < n;
      gpu::begin_copy<16>(to.at + row * to.stride + column, is_there ? from + row * stride + column : from, is_there);
    }
    return;
  }
  TRICYCLE_ROLLED
  for (int row = first; row < rows; row += at_once)
    TRICYCLE_ROLLED
    for (int i = column; i < column + numbers; ++i) to.at[row * to.stride + i] = row < there && i < n ? from[row * stride + i] : T(0.f);
}

/// Write the first `there` rows and n columns of a warp's sums to rows that stand `stride` apart, by way of 16 rows of shared
/// memory, in which no other warp may be at work.
template <class T, int size>
TRICYCLE_HD void write(Sums<size> sums, float* shared, Gather<T> to, Index stride, int there, int n) {
  Panel<float, size> staged{shared};
  sums.each([&](float x, Place p) { staged.at[sums.row(p.which) * staged.stride + p.column] = x; });
  gpu::warp_barrier();
  TRICYCLE_ROLLED
  for (int i = sums.lane(); i < 16 * size / gpu_lanes; i += gpu::warp) {
    int row = i / (size / gpu_lanes), column = i % (size / gpu_lanes) * gpu_lanes;
    if (row < there && column < n)
      loop<true>(column, column + gpu_lanes < n ? column + gpu_lanes : n, [&](auto at) {
        Gather<T>{to.at + row * stride, to.add}[at] = Row<const float>{staged.from(row).at}[at];
      });
  }
  gpu::warp_barrier();
}

}  // namespace kernel
}
}  // namespace tricycle
#undef TRICYCLE_ROLLED
#endif
