// What the lanes of a warp do together: shuffles, votes and small matrix products, by PTX's definitions.
#include <bit>
#include <cstring>
#include "fibres.hpp"
#include "report.hpp"
#include "watch.hpp"

namespace emulator {

namespace {

/// f(lane, its data) for each lane that takes part.
template <class Data, class F>
void each_lane(void* const* lanes, unsigned mask, F f) {
  for (unsigned m = mask; m; m &= m - 1) f(std::countr_zero(m), *static_cast<Data*>(lanes[std::countr_zero(m)]));
}

struct Shuffled {
  Shuffle how;
  std::uint64_t value;
  unsigned by;
  int width;
  std::uint64_t result;
};

void shuffle_all(void* const* lanes, unsigned mask) {
  each_lane<Shuffled>(lanes, mask, [&](int lane, Shuffled& s) {
    int width = s.width, first = lane / width * width, by = static_cast<int>(s.by & 31), from = lane;
    switch (s.how) {
      case Shuffle::index: from = first + by % width; break;
      case Shuffle::up: from = lane - by >= first ? lane - by : lane; break;
      case Shuffle::down: from = lane + by < first + width ? lane + by : lane; break;
      case Shuffle::exclusive: from = (lane ^ by) < first + width ? lane ^ by : lane; break;
    }
    if (!(mask >> from & 1)) fail("a shuffle in which lane %d reads from lane %d, which is not in the mask %#x", lane, from, mask);
    s.result = static_cast<Shuffled*>(lanes[from])->value;
  });
}

struct Voted {
  bool predicate;
  unsigned result;
};

void vote_all(void* const* lanes, unsigned mask) {
  unsigned ballot = 0;
  each_lane<Voted>(lanes, mask, [&](int lane, Voted& v) { ballot |= unsigned(v.predicate) << lane; });
  each_lane<Voted>(lanes, mask, [&](int, Voted& v) { v.result = ballot; });
}

struct Product {
  float* c;
  const std::uint32_t *a, *b;
  float (*widen)(std::uint16_t);                         // null: the operands are tf32
};

float half_of(std::uint32_t two, int which, float (*widen)(std::uint16_t)) { return widen(static_cast<std::uint16_t>(two >> (16 * which))); }
float tf32(std::uint32_t bits) { return std::bit_cast<float>(bits & 0xffffe000u); }

/// PTX, "Matrix Fragments for mma.m16n8k16" and "… m16n8k8": with group = lane / 4 and i = lane % 4, the lane holds in register r of a
/// the row group + 8 (r % 2), and the columns from 2 i + 8 (r / 2) on (two 16-bit numbers) or i + 4 (r / 2) (tf32). In b rows and columns
/// are the other way round; in c register r is row group + 8 (r / 2), column 2 i + r % 2.
void multiply_all(void* const* lanes, unsigned mask) {
  float a[16][16], b[16][8];
  const bool is_tf32 = static_cast<Product*>(lanes[0])->widen == nullptr;
  const int depth = is_tf32 ? 8 : 16;
  each_lane<Product>(lanes, mask, [&](int lane, Product& p) {
    int group = lane / 4, i = lane % 4;
    for (int r = 0; r < 4; ++r)
      if (is_tf32) a[group + 8 * (r % 2)][i + 4 * (r / 2)] = tf32(p.a[r]);
      else for (int h = 0; h < 2; ++h) a[group + 8 * (r % 2)][2 * i + 8 * (r / 2) + h] = half_of(p.a[r], h, p.widen);
    for (int r = 0; r < 2; ++r)
      if (is_tf32) b[i + 4 * r][group] = tf32(p.b[r]);
      else for (int h = 0; h < 2; ++h) b[2 * i + 8 * r + h][group] = half_of(p.b[r], h, p.widen);
  });
  each_lane<Product>(lanes, mask, [&](int lane, Product& p) {
    for (int r = 0; r < 4; ++r) {
      int row = lane / 4 + 8 * (r / 2), column = lane % 4 * 2 + r % 2;
      float sum = 0;
      for (int k = 0; k < depth; ++k) sum += a[row][k] * b[k][column];
      p.c[r] += sum;
    }
  });
}

struct Loaded {
  std::uint32_t* r;
  const void* row;
  int matrices;
  bool transposed;
};

/// Lane l gets of each matrix the two numbers at row l / 4, columns 2 (l % 4) and one on; transposed, those at the mirrored places.
void load_all(void* const* lanes, unsigned mask) {
  each_lane<Loaded>(lanes, mask, [&](int lane, Loaded& mine) {
    for (int m = 0; m < mine.matrices; ++m) {
      std::uint16_t two[2];
      for (int h = 0; h < 2; ++h) {
        int row = lane / 4, column = lane % 4 * 2 + h;
        if (mine.transposed) std::swap(row, column);
        const auto* from = static_cast<const char*>(static_cast<Loaded*>(lanes[8 * m + row])->row);
        std::memcpy(&two[h], from + 2 * column, 2);
      }
      mine.r[m] = two[0] | std::uint32_t(two[1]) << 16;
    }
  });
}

constexpr unsigned everybody = 0xffffffffu;

}  // namespace

std::uint64_t shuffle(Shuffle how, unsigned mask, std::uint64_t value, unsigned by, int width) {
  if (width < 1 || width > 32 || (width & (width - 1))) fail("a shuffle of width %d, which is no power of two up to 32", width);
  Shuffled s{how, value, by, width, 0};
  meet("a shuffle", shuffle_all, mask, &s);
  return s.result;
}

unsigned vote(Vote kind, unsigned mask, int predicate) {
  Voted v{predicate != 0, 0};
  meet("a vote", vote_all, mask, &v);
  return kind == Vote::ballot ? v.result : kind == Vote::any ? v.result != 0 : v.result == mask;
}

void mma_16x8x16(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2], float (*widen)(std::uint16_t)) {
  Product p{c, a, b, widen};
  meet("mma", multiply_all, everybody, &p);
}

void mma_16x8x8_tf32(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  Product p{c, a, b, nullptr};
  meet("mma", multiply_all, everybody, &p);
}

void ldmatrix(std::uint32_t (&r)[4], const void* row, int matrices, bool transposed) {
  if (matrices != 1 && matrices != 2 && matrices != 4) fail("ldmatrix of %d matrices: there are 1, 2 and 4", matrices);
  Loaded l{r, row, matrices, transposed};
  if (lane() < 8 * matrices) {
    if (!here.shared.holds(reinterpret_cast<std::uintptr_t>(row)) && device_of(reinterpret_cast<std::uintptr_t>(row)) >= 0)
      fail("ldmatrix reads %s: it takes shared memory only", describe(reinterpret_cast<std::uintptr_t>(row)).c_str());
    watch_aligned(row, 16, 16, Access::read);
  }
  meet("ldmatrix", load_all, everybody, &l);
}

}  // namespace emulator
