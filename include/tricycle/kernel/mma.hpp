// Products of small matrices that a warp makes together on the tensor cores, with operands in shared memory or in what an
// earlier product left in registers. A float is multiplied as two numbers of few bits each, so that it keeps its digits.
#pragma once
#include "tricycle/kernel/each.hpp"
#ifdef TRICYCLE_CUDA

// Before a loop that is not to be written out, as that would take registers from what matters; and before one that must be, as
// what it counts are registers.
#ifdef __CUDACC__
#define TRICYCLE_ROLLED _Pragma("unroll 1")
#define TRICYCLE_UNROLLED _Pragma("unroll")
#else
#define TRICYCLE_ROLLED
#define TRICYCLE_UNROLLED
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

/// One of the numbers that a lane has of a matrix: the how manieth it is, in which of the lane's rows, and in which column.
struct Place { int number, which, column; };

/// (rows, columns) sums in the registers of a warp, 16 rows in a group. A lane has of each 8 columns two neighbours, in rows that
/// are 8 apart.
template <int rows, int columns>
struct Sums {
  static constexpr int groups = rows / 16, each_lane = rows * columns / gpu::warp, rows_of_lane = rows / 8;
  float at[groups][columns / 8][4]{};

  TRICYCLE_HD static int lane() { return gpu::thread() % gpu::warp; }
  /// The rows of this lane, by number.
  TRICYCLE_HD static int row(int which) { return lane() / 4 + 8 * which; }
  TRICYCLE_HD static Place place(int number) {
    const int in_group = number % (columns / 2);
    return {number, number / (columns / 2) * 2 + in_group / 2 % 2, in_group / 4 * 8 + lane() % 4 * 2 + in_group % 2};
  }

  /// f(number, place) for all that this lane has; f(number, place, number of `other`) of two together.
  template <class F, class... Other>
  TRICYCLE_HD void each(F f, Other&... other) {
    TRICYCLE_UNROLLED
    for (int g = 0; g < groups; ++g)
      TRICYCLE_UNROLLED
      for (int j = 0; j < columns / 8; ++j)
        TRICYCLE_UNROLLED
        for (int i = 0; i < 4; ++i) f(at[g][j][i], place(g * columns / 2 + 4 * j + i), other.at[g][j][i]...);
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

/// c += a bᵀ.   a (rows, size), b (columns, size) -> (rows, columns)
template <class T, int size, int rows, int columns>
TRICYCLE_HD void rows_dot(Sums<rows, columns>& c, Panel<T, size> a, Panel<T, size> b) {
  constexpr int depth = Left<T>::depth, half = depth / 2, groups = rows / 16;
  const int lane = c.lane();
  const T* from_a = a.at + lane % 16 * a.stride + lane / 16 * half;                                  // upper rows, lower rows; then what is right of them
  const T* from_b = b.at + (lane / 16 * 8 + lane % 8) * b.stride + lane / 8 % 2 * half;              // left and right of 8 rows; then of the next 8
  for (int k = 0; k < size; k += depth) {
    std::uint32_t bits[4];
    Left<T> left[groups];
    for (int g = 0; g < groups; ++g) {
      gpu::load_matrices(bits, from_a + g * 16 * a.stride + k);
      left[g].set(bits);
    }
    for (int j = 0; j < columns / 8; j += 2) {
      gpu::load_matrices(bits, from_b + j * 8 * b.stride + k);
      for (int g = 0; g < groups; ++g) {
        left[g].times(bits[0], bits[1], c.at[g][j]);
        left[g].times(bits[2], bits[3], c.at[g][j + 1]);
      }
    }
  }
}

/// Columns `k depth` to `(k + 1) depth` of a group's sums, as the left operand of a product: they are in the right lanes already.
/// (Of floats every other column comes first; Right has the rows in the same order.)
template <class T, int eighths>
TRICYCLE_HD Left<T> left(const float (&sums)[eighths][4], int k) {
  Left<T> operand;
  if constexpr (sizeof(T) == 4) {
    const auto& s = sums[k];
    auto bits = [](float x) { return __builtin_bit_cast(std::uint32_t, x); };
    operand.set({bits(s[0]), bits(s[2]), bits(s[1]), bits(s[3])});
  } else {
    const auto &s = sums[2 * k], &t = sums[2 * k + 1];
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

/// c += w b.   w (rows, between), b (between, size) -> (rows, size)
template <class T, int size, int rows, int between>
TRICYCLE_HD void mix(Sums<rows, size>& c, const Sums<rows, between>& w, Panel<T, size> b) {
  constexpr int depth = Left<T>::depth, groups = rows / 16;
  Left<T> operand[groups][between / depth];
  for (int g = 0; g < groups; ++g)
    for (int k = 0; k < between / depth; ++k) operand[g][k] = left<T>(w.at[g], k);
  for (int j = 0; j < size / 8; j += 2) {
    float apart[groups][2][4]{};                         // of floats: tensor cores cut off what they add to large sums
    for (int k = 0; k < between / depth; ++k) {
      std::uint32_t bits[4];
      right(bits, b.from(k * depth), j * 8);
      for (int g = 0; g < groups; ++g) {
        auto* sum = sizeof(T) == 4 ? apart[g] : c.at[g] + j;
        operand[g][k].times(bits[0], bits[1], sum[0]);
        operand[g][k].times(bits[2], bits[3], sum[1]);
      }
    }
    if constexpr (sizeof(T) == 4)
      for (int g = 0; g < groups; ++g)
        for (int i = 0; i < 4; ++i) c.at[g][j][i] += apart[g][0][i], c.at[g][j + 1][i] += apart[g][1][i];
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
    for (int i = 0; i < each; ++i)
      if (int row = first + i * at_once; row < rows) {
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

/// Write the first `there` rows and n columns of a warp's sums to rows that stand `stride` apart, 16 rows at a time, by way of as
/// many of shared memory, in which no other warp may be at work.
template <class T, int rows, int size>
TRICYCLE_HD void write(const Sums<rows, size>& sums, float* shared, Gather<T> to, Index stride, int there, int n) {
  Panel<float, size> staged{shared};
  TRICYCLE_UNROLLED
  for (int g = 0; g < sums.groups; ++g) {
    Sums<16, size> group;
    for (int j = 0; j < size / 8; ++j)
      for (int i = 0; i < 4; ++i) group.at[0][j][i] = sums.at[g][j][i];
    group.each([&](float x, Place p) { staged.at[group.row(p.which) * staged.stride + p.column] = x; });
    gpu::warp_barrier();
    TRICYCLE_ROLLED
    for (int i = sums.lane(); i < 16 * size / gpu_lanes; i += gpu::warp) {
      int row = i / (size / gpu_lanes), column = i % (size / gpu_lanes) * gpu_lanes;
      if (16 * g + row < there && column < n)
        loop<true>(column, column + gpu_lanes < n ? column + gpu_lanes : n, [&](auto at) {
          Gather<T>{to.at + (16 * g + row) * stride, to.add}[at] = Row<const float>{staged.from(row).at}[at];
        });
    }
    gpu::warp_barrier();
  }
}

}  // namespace kernel
}
}  // namespace tricycle
#undef TRICYCLE_ROLLED
#undef TRICYCLE_UNROLLED
#endif
