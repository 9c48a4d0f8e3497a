// The emulated GPU's tensor cores, and what brings their operands: matrices are fetched and multiplied as PTX says.
#include <cmath>
#include <cstring>
#include "emulator/testing.hpp"

TEST_CASE("a warp multiplies matrices that ldmatrix has fetched") {
  // 16-bit integers as numbers: exact, and easy to write down
  auto widen = [](std::uint16_t x) { return static_cast<float>(static_cast<std::int16_t>(x)); };
  std::vector<std::uint16_t> a(16 * 16), b(16 * 8);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<std::uint16_t>(i * 7 % 23 - 11);
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = static_cast<std::uint16_t>(i * 5 % 19 - 9);
  Numbers<std::uint16_t> da(a), db(b);
  Numbers<float> c(16 * 8);
  REQUIRE(run([a = da.p, b = db.p, c = c.p, widen] {
    auto* s = static_cast<std::uint16_t*>(emulator::dynamic_shared());
    for (int i = thread(); i < 256; i += 32) s[i] = a[i];
    for (int i = thread(); i < 128; i += 32) s[256 + i] = b[i];
    __syncwarp();
    int lane = thread();
    std::uint32_t ra[4], rb[4], two[2];
    // the matrices of a: rows 0-7 and 8-15 of columns 0-7, then of columns 8-15; b is row-major, so its 8x8 parts come transposed
    emulator::ldmatrix(ra, s + (lane % 16) * 16 + lane / 16 * 8, 4, false);
    emulator::ldmatrix(rb, s + 256 + (lane % 16) * 8, 2, true);
    two[0] = rb[0], two[1] = rb[1];
    float sum[4] = {1, 1, 1, 1};
    emulator::mma_16x8x16(sum, ra, two, widen);
    for (int r = 0; r < 4; ++r) c[(lane / 4 + r / 2 * 8) * 8 + lane % 4 * 2 + r % 2] = sum[r];
  }, 1, 32, 1024) == cudaSuccess);
  auto got = c.read();
  for (std::size_t i = 0; i < 16; ++i)
    for (std::size_t j = 0; j < 8; ++j) {
      float sum = 1;
      for (std::size_t k = 0; k < 16; ++k) sum += widen(a[i * 16 + k]) * widen(b[k * 8 + j]);
      CHECK(got[i * 8 + j] == sum);
    }
}

TEST_CASE("one matrix of 8 by 8, as it is and transposed") {
  Numbers<std::uint32_t> n(64);
  REQUIRE(run([to = n.p] {
    auto* s = static_cast<std::uint16_t*>(emulator::dynamic_shared());
    s[thread()] = static_cast<std::uint16_t>(thread()), s[thread() + 32] = static_cast<std::uint16_t>(thread() + 32);
    __syncwarp();
    std::uint32_t r[4] = {};
    emulator::ldmatrix(r, s + thread() % 8 * 8, 1, false);
    to[thread()] = r[0];
    emulator::ldmatrix(r, s + thread() % 8 * 8, 1, true);
    to[32 + thread()] = r[0];
  }, 1, 32, 128) == cudaSuccess);
  auto got = n.read();
  for (std::uint32_t lane = 0; lane < 32; ++lane) {
    std::uint32_t row = lane / 4, column = lane % 4 * 2;
    CHECK(got[lane] == (row * 8 + column | (row * 8 + column + 1) << 16));
    CHECK(got[32 + lane] == (column * 8 + row | ((column + 1) * 8 + row) << 16));
  }
}

TEST_CASE("what is copied in the background is there once it was waited for") {
  std::vector<std::uint32_t> numbers(32);
  for (std::size_t i = 0; i < 32; ++i) numbers[i] = static_cast<std::uint32_t>(7 * i + 1);
  Numbers<std::uint32_t> from(numbers), n(64);
  REQUIRE(run([from = from.p, to = n.p] {
    auto* s = static_cast<std::uint32_t*>(emulator::dynamic_shared());
    emulator::cp_async(s + thread(), from + thread(), 4, thread() % 2 == 0);
    to[thread()] = s[thread()];
    emulator::cp_async_wait_all();
    to[32 + thread()] = s[thread()];
  }, 1, 32, 128) == cudaSuccess);
  const auto got = n.read();
  for (std::size_t i = 0; i < 32; ++i) {
    CHECK(got[i] == 0xffffffff);
    CHECK(got[32 + i] == (i % 2 == 0 ? numbers[i] : 0));
  }
}

TEST_CASE("tf32 products forget thirteen bits of their operands") {
  std::vector<float> a(16 * 8), b(8 * 8);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i % 13) + 0x1p-20f;
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(i % 11);
  Numbers<float> da(a), db(b), c(16 * 8);
  REQUIRE(run([a = da.p, b = db.p, c = c.p] {
    int group = thread() / 4, i = thread() % 4;
    std::uint32_t ra[4], rb[2];
    for (int r = 0; r < 4; ++r) std::memcpy(&ra[r], a + (group + r % 2 * 8) * 8 + i + r / 2 * 4, 4);
    for (int r = 0; r < 2; ++r) std::memcpy(&rb[r], b + (i + r * 4) * 8 + group, 4);
    float sum[4] = {};
    emulator::mma_16x8x8_tf32(sum, ra, rb);
    for (int r = 0; r < 4; ++r) c[(group + r / 2 * 8) * 8 + i * 2 + r % 2] = sum[r];
  }, 1, 32) == cudaSuccess);
  auto got = c.read();
  for (std::size_t i = 0; i < 16; ++i)
    for (std::size_t j = 0; j < 8; ++j) {
      float sum = 0, exact = 0;
      for (std::size_t k = 0; k < 8; ++k) {
        float x = a[i * 8 + k], whole = x > 1 ? std::floor(x) : x < 0.5f ? 0x1p-20f : 1.f;
        sum += whole * b[k * 8 + j], exact += x * b[k * 8 + j];
      }
      CHECK(got[i * 8 + j] == Approx(exact).margin(1e-3));
      CHECK(got[i * 8 + j] == sum);
    }
}
