// The emulated GPU does what a GPU does: threads, barriers, shuffles, memory and atomics.
#include <cmath>
#include <cstring>
#include <numeric>
#include "emulator/testing.hpp"

namespace {

std::vector<float> ramp(std::size_t n) {
  std::vector<float> v(n);
  std::iota(v.begin(), v.end(), 0.f);
  return v;
}

constexpr unsigned everybody = 0xffffffffu;

}  // namespace

TEST_CASE("every thread of every block runs once, in three dimensions") {
  Numbers<int> n(std::vector<int>(2 * 3 * 2 * 4 * 2 * 3));
  REQUIRE(run([p = n.p] {
    unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    p[block * blockDim.x * blockDim.y * blockDim.z + thread] += static_cast<int>(block * 100 + thread);
  }, {2, 3, 2}, {4, 2, 3}) == cudaSuccess);
  auto got = n.read();
  for (int i = 0; i < 288; ++i) CHECK(got[static_cast<std::size_t>(i)] == i / 24 * 100 + i % 24);
}

TEST_CASE("a kernel has up to eight parameters, copied when it is launched") {
  struct Kernels {
    static void many(int* to, char a, short b, int c, long d, float e, double f, unsigned char g) { *to = static_cast<int>(a + b + c + static_cast<int>(d) + static_cast<int>(e) + static_cast<int>(f) + g); }
    static void none() {}
  };
  Numbers<int> n(1);
  char a = 1;
  short b = 20;
  int c = 300;
  long d = 4000;
  float e = 50000;
  double f = 600000;
  unsigned char g = 7;
  void* arguments[] = {&n.p, &a, &b, &c, &d, &e, &f, &g};
  REQUIRE(cudaLaunchKernel(Kernels::many, 1, 1, arguments) == cudaSuccess);
  c = 0, d = 0;
  REQUIRE(cudaLaunchKernel(Kernels::none, 1, 1, nullptr) == cudaSuccess);
  CHECK(n.read() == std::vector<int>{654328});
}

TEST_CASE("shuffles") {
  Numbers<float> n(5 * 64);
  Numbers<double> wide(64);
  REQUIRE(run([p = n.p, w = wide.p] {
    float x = static_cast<float>(thread());
    p[thread()] = __shfl_sync(everybody, x, 3);
    p[64 + thread()] = __shfl_up_sync(everybody, x, 2);
    p[128 + thread()] = __shfl_down_sync(everybody, x, 2);
    p[192 + thread()] = __shfl_xor_sync(everybody, x, 5);
    p[256 + thread()] = __shfl_down_sync(everybody, x, 3, 8);
    w[thread()] = __shfl_sync(everybody, 1.0 + thread(), thread() + 1);
  }, 1, 64) == cudaSuccess);
  auto got = n.read();
  auto got_wide = wide.read();
  for (int i = 0; i < 64; ++i) {
    int warp = i / 32 * 32, lane = i % 32;
    auto at = [&](int row) { return static_cast<int>(got[static_cast<std::size_t>(row * 64 + i)]); };
    CHECK(at(0) == warp + 3);
    CHECK(at(1) == (lane < 2 ? i : i - 2));
    CHECK(at(2) == (lane >= 30 ? i : i + 2));
    CHECK(at(3) == (i ^ 5));
    CHECK(at(4) == (lane % 8 + 3 < 8 ? i + 3 : i));
    CHECK(got_wide[static_cast<std::size_t>(i)] == 1.0 + warp + (lane + 1) % 32);
  }
}

TEST_CASE("part of a warp shuffles and meets while the rest does something else") {
  Numbers<int> n(32);
  REQUIRE(run([p = n.p] {
    int x = thread();
    if (thread() < 8) {
      for (int hop = 4; hop; hop /= 2) x += __shfl_xor_sync(0xffu, x, hop);
    } else {
      x = -1;
      __syncwarp(0xffffff00u);
    }
    p[thread()] = x;
  }, 1, 32) == cudaSuccess);
  auto got = n.read();
  for (std::size_t i = 0; i < 32; ++i) CHECK(got[i] == (i < 8 ? 28 : -1));
}

TEST_CASE("votes") {
  Numbers<unsigned> n(4 * 32);
  REQUIRE(run([p = n.p] {
    p[thread()] = __ballot_sync(everybody, thread() % 3 == 0);
    p[32 + thread()] = static_cast<unsigned>(__any_sync(everybody, thread() == 7));
    p[64 + thread()] = static_cast<unsigned>(__all_sync(everybody, thread() != 7));
    p[96 + thread()] = static_cast<unsigned>(__all_sync(everybody, thread() < 32));
  }, 1, 32) == cudaSuccess);
  auto got = n.read();
  for (std::size_t i = 0; i < 32; ++i) {
    CHECK(got[i] == 0x49249249u);
    CHECK(got[32 + i] == 1);
    CHECK(got[64 + i] == 0);
    CHECK(got[96 + i] == 1);
  }
}

TEST_CASE("a block sums in shared memory, static and dynamic") {
  Numbers<float> x(ramp(1000)), y(2);
  REQUIRE(run([p = x.p, to = y.p] {
    __shared__ float fixed[128];
    auto* chosen = static_cast<float*>(emulator::dynamic_shared());
    float sum = 0;
    for (int i = thread(); i < 1000; i += 128) sum += p[i];
    fixed[thread()] = sum;
    chosen[thread()] = 2 * sum;
    __syncthreads();
    for (int half = 64; half; half /= 2) {
      if (thread() < half) fixed[thread()] += fixed[thread() + half], chosen[thread()] += chosen[thread() + half];
      __syncthreads();
    }
    if (thread() == 0) to[0] = fixed[0], to[1] = chosen[0];
  }, 1, 128, 128 * sizeof(float)) == cudaSuccess);
  CHECK(y.read() == std::vector<float>{499500, 999000});
}

TEST_CASE("barriers that count") {
  Numbers<int> n(3 * 96);
  REQUIRE(run([p = n.p] {
    p[thread()] = __syncthreads_or(thread() == 95);
    p[96 + thread()] = __syncthreads_and(thread() == 95);
    p[192 + thread()] = __syncthreads_count(thread() < 40);
  }, 1, 96) == cudaSuccess);
  auto got = n.read();
  for (std::size_t i = 0; i < 96; ++i) CHECK((got[i] != 0 && got[96 + i] == 0 && got[192 + i] == 40));
}

TEST_CASE("atomics from many blocks") {
  Numbers<int> i(std::vector<int>{0, -1000, 1000, 0});
  Numbers<unsigned> u(std::vector<unsigned>{0});
  Numbers<unsigned long long> l(std::vector<unsigned long long>{0, 0});
  Numbers<float> f(std::vector<float>{0});
  REQUIRE(run([i = i.p, u = u.p, l = l.p, f = f.p] {
    int x = static_cast<int>(blockIdx.x * blockDim.x) + thread();
    atomicAdd(i, x);
    atomicMax(i + 1, x);
    atomicMin(i + 2, x);
    atomicCAS(i + 3, 0, x + 1);
    atomicAdd(u, 1u);
    atomicAdd(l, 1ull << 33);
    atomicExch(l + 1, 5ull);
    atomicAdd(f, 1.f);
  }, 10, 64) == cudaSuccess);
  auto got = i.read();
  CHECK(got[0] == 640 * 639 / 2);
  CHECK(got[1] == 639);
  CHECK(got[2] == 0);
  CHECK((got[3] >= 1 && got[3] <= 640));
  CHECK(u.read()[0] == 640);
  CHECK(l.read() == std::vector<unsigned long long>{640ull << 33, 5});
  CHECK(f.read()[0] == 640);
}

TEST_CASE("the last block to finish may read what the others wrote, after a fence and an atomic") {
  Numbers<float> parts(8), total(1);
  Numbers<unsigned> done(std::vector<unsigned>{0});
  REQUIRE(run([parts = parts.p, total = total.p, done = done.p] {
    __shared__ bool is_last;
    if (thread() == 0) {
      parts[blockIdx.x] = static_cast<float>(blockIdx.x);
      __threadfence();
      is_last = atomicAdd(done, 1u) == gridDim.x - 1;
    }
    __syncthreads();
    if (is_last && thread() == 0) {
      float sum = 0;
      for (unsigned b = 0; b < gridDim.x; ++b) sum += parts[b];
      *total = sum;
    }
  }, 8, 32) == cudaSuccess);
  CHECK(total.read()[0] == 28);
}

TEST_CASE("launches that no GPU would do are refused") {
  auto nothing = [] {};
  CHECK(run(nothing, 1, 1025) == cudaErrorInvalidConfiguration);
  CHECK(run(nothing, 1, {32, 33, 1}) == cudaErrorInvalidConfiguration);
  CHECK(run(nothing, 1, {1, 1, 65}) == cudaErrorInvalidConfiguration);
  CHECK(run(nothing, 0, 32) == cudaErrorInvalidConfiguration);
  CHECK(run(nothing, {1, 65536, 1}, 32) == cudaErrorInvalidConfiguration);
  CHECK(run(nothing, 1, 32, 48 * 1024 + 1) == cudaErrorInvalidValue);
  CHECK(run(nothing, 1, 32, 48 * 1024) == cudaSuccess);
  CHECK(cudaGetLastError() == cudaErrorInvalidValue);
  CHECK(cudaGetLastError() == cudaSuccess);
  auto other = [] { static_cast<char*>(emulator::dynamic_shared())[100 * 1024 - 1] = 1; };
  CHECK(cudaFuncSetAttribute(entry<decltype(other)>, cudaFuncAttributeMaxDynamicSharedMemorySize, 227 * 1024 + 1) == cudaErrorInvalidValue);
  CHECK(cudaFuncSetAttribute(entry<decltype(other)>, cudaFuncAttributeMaxDynamicSharedMemorySize, 100 * 1024) == cudaSuccess);
  CHECK(run(other, 1, 1, 100 * 1024) == cudaSuccess);
  CHECK(run(other, 1, 1, 100 * 1024 + 1) == cudaErrorInvalidValue);
  CHECK(cudaDeviceSynchronize() == cudaSuccess);
  cudaGetLastError();
}

TEST_CASE("there are two GPUs, or as many as are visible, and each has so much memory") {
  int n = 0;
  CHECK(cudaGetDeviceCount(&n) == cudaSuccess);
  CHECK(n == 2);
  CHECK(cudaSetDevice(2) == cudaErrorInvalidDevice);
  cudaGetLastError();
  int value = 0;
  CHECK((cudaDeviceGetAttribute(&value, cudaDevAttrComputeCapabilityMajor, 1) == cudaSuccess && value == 9));
  CHECK((cudaDeviceGetAttribute(&value, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0) == cudaSuccess && value == 227 * 1024));

  std::size_t free = 0, total = 0, before = 0;
  emulator::set_memory(1 << 20);
  CHECK(cudaMemGetInfo(&before, &total) == cudaSuccess);
  CHECK(total == 1 << 20);
  void *p = nullptr, *q = nullptr;
  CHECK(cudaMalloc(&p, 600 << 10) == cudaSuccess);
  CHECK(cudaMalloc(&q, 600 << 10) == cudaErrorMemoryAllocation);
  CHECK(q == nullptr);
  CHECK((cudaMemGetInfo(&free, &total) == cudaSuccess && free == before - (600 << 10)));
  CHECK(cudaSetDevice(1) == cudaSuccess);
  CHECK(cudaMalloc(&q, 600 << 10) == cudaSuccess);
  CHECK(cudaFree(q) == cudaSuccess);
  CHECK(cudaSetDevice(0) == cudaSuccess);
  CHECK(cudaFree(p) == cudaSuccess);
  emulator::set_memory(std::size_t(4) << 30);
  cudaGetLastError();
}

TEST_CASE("an address is used again only when all others were") {
  void* last = nullptr;
  for (int i = 0; i < 100; ++i) {
    void* p = nullptr;
    REQUIRE(cudaMalloc(&p, 200 << 20) == cudaSuccess);
    CHECK(p != last);
    REQUIRE(cudaMemset(p, 0, 1) == cudaSuccess);
    REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
    REQUIRE(cudaFree(last = p) == cudaSuccess);
  }
}
