// What a GPU would punish, or not even notice: the emulator ends the process with a sentence that names the culprit.
#include <cstring>
#include "emulator/testing.hpp"

namespace {

void done() { cudaDeviceSynchronize(); }

template <class T>
T* device(std::size_t n, bool written = true) {
  T* p = nullptr;
  cudaMalloc(&p, n * sizeof(T));
  if (written) cudaMemset(p, 0, n * sizeof(T));
  done();
  return p;
}

template <class T>
T* pinned(std::size_t n) {
  T* p = nullptr;
  cudaMallocHost(&p, n * sizeof(T));
  return p;
}

/// The emulator sees what the compiler leaves: this it must.
template <class T>
void touch(const T* p) {
  volatile T x = *p;
  static_cast<void>(x);
}

constexpr unsigned everybody = 0xffffffffu;

/// A kernel with a name of its own.
struct Overrun {
  float* p;
  void operator()() const { p[thread()] = 1; }
};

}  // namespace

// ---------------------------------------------------------------- whose memory

TEST_CASE("the host touches device memory") {
  check_dies([] { touch(device<int>(4) + 1); }, "the host reads device memory: byte 4 of an allocation of 16 bytes");
  check_dies([] { *device<int>(4) = 1; }, "the host writes device memory");
}

TEST_CASE("a function of the C library touches device memory") {
  check_dies([] { volatile auto n = strnlen(device<char>(4), 4); static_cast<void>(n); }, "the host touches device memory: byte 0 of an allocation of 4 bytes");
}

TEST_CASE("a kernel touches host memory") {
  check_dies([] { std::vector<int> v(4); run([p = v.data()] { touch(p); }, 1, 1), done(); }, "reads 4 bytes of host memory");
  check_dies([] { std::vector<int> v(4); run([p = v.data()] { *p = 1; }, 1, 1), done(); }, "writes 4 bytes of host memory");
  check_dies([] { auto* p = pinned<int>(4); run([p] { p[1] = 1; }, 1, 1), done(); }, "writes 4 bytes of host memory: byte 4 of pinned host memory of 16 bytes");
}

int of_the_host = 1;
TEST_CASE("a kernel touches a variable of the host's, or another GPU's memory, or another thread's") {
  check_dies([] { run([] { touch(&of_the_host); }, 1, 1), done(); }, "touches a variable of the host's");
  check_dies([] { cudaSetDevice(1); auto* p = device<int>(1); cudaSetDevice(0); run([p] { touch(p); }, 1, 1), done(); }, "reads memory of GPU 1, but runs on GPU 0");
  check_dies([] {
    run([] {
      __shared__ int* p;
      int own = 0;
      if (thread() == 0) p = &own;
      __syncthreads();
      if (thread() == 1) *p = 1;
      __syncthreads();
    }, 1, 2), done();
  }, "writes 4 bytes on another thread's stack");
}

TEST_CASE("what a kernel may read of the program is what nobody can change") {
  static const int table[] = {1, 2, 3, 4};
  Numbers<int> n(4);
  REQUIRE(run([p = n.p] {
    const int* volatile from = table;
    p[thread()] = from[thread()];
  }, 1, 4) == cudaSuccess);
  CHECK(n.read() == std::vector<int>{1, 2, 3, 4});
}

TEST_CASE("a kernel goes astray") {
  check_dies([] { run([p = reinterpret_cast<int*>(16)] { touch(p); }, 1, 1), done(); }, "reads 4 bytes of host memory at 0x10");
  struct Deep {
    static int go(int n) { volatile int a[1000] = {n}; return n ? go(n - 1) + a[0] : 0; }
  };
  check_dies([] { run([] { int n = Deep::go(1000); touch(&n); }, 1, 1), done(); }, "has more on its stack than the 2");
}

// ---------------------------------------------------------------- what is there

TEST_CASE("an overrun, however small, names the kernel, the block, the thread and the place") {
  check_dies([] { run(Overrun{device<float>(100)}, 1, 101), done(); }, "kernel void entry<", "Overrun>", "block (0, 0, 0), thread (100, 0, 0): writes 4 bytes, of them 0 bytes past the end of an allocation of 400 bytes");
  check_dies([] { auto* p = device<char>(3); run([p] { touch(reinterpret_cast<short*>(p + 2)); }, 1, 1), done(); }, "reads 2 bytes, of them 0 bytes past the end of an allocation of 3 bytes");
  check_dies([] { auto* p = device<int>(4); run([p] { touch(p - 1); }, 1, 1), done(); }, "reads 4 bytes, of them");
  check_dies([] { run([] { touch(static_cast<int*>(emulator::dynamic_shared()) + 8); }, 1, 1, 32), done(); }, "0 bytes past the end of the dynamic shared memory of 32 bytes");
}

TEST_CASE("a read of memory that nothing has written") {
  check_dies([] { auto* p = device<int>(4, false); run([p] { p[thread() % 3] = 1; touch(p + 3); }, 1, 1), done(); }, "reads 4 bytes, of them byte 12 of an allocation of 16 bytes, which nothing has written");
  check_dies([] { run([] { touch(static_cast<int*>(emulator::dynamic_shared())); }, 1, 1, 32), done(); }, "which nothing has written");
  check_dies([] { run([] { __shared__ int x[2]; if (blockIdx.x == 5) x[thread()] = 1; touch(x); }, 1, 1), done(); }, "of the shared variable", "which nothing has written");
  check_dies([] { int x; cudaMemcpy(&x, device<int>(1, false), 4, cudaMemcpyDeviceToHost); }, "a copy to the host reads byte 0 of an allocation of 4 bytes, which nothing has written");
}

TEST_CASE("shared memory holds nothing when a block begins, although the block before has left something") {
  check_dies([] { run([] { __shared__ int x; if (blockIdx.x == 0) x = 1; touch(&x); }, 2, 1), done(); }, "which nothing has written");
}

TEST_CASE("a copy within the GPU takes along what is unwritten") {
  check_dies([] {
    auto *p = device<char>(4, false), *q = device<char>(4);
    cudaMemset(p, 0, 2), cudaMemcpy(q, p, 4, cudaMemcpyDeviceToDevice);
    run([q] { touch(q + 1); touch(q + 2); }, 1, 1), done();
  }, "reads 1 bytes, of them byte 2 of an allocation of 4 bytes, which nothing has written");
}

TEST_CASE("memory is used after it was freed, or freed twice") {
  check_dies([] { auto* p = device<int>(4); cudaFree(p); run([p] { touch(p); }, 1, 1), done(); }, "byte 0 of an allocation of 16 bytes that was freed");
  check_dies([] { auto* p = device<int>(4); cudaFreeAsync(p, nullptr); run([p] { *p = 1; }, 1, 1), done(); }, "that was freed");
  check_dies([] { auto* p = device<int>(4); cudaFree(p); cudaFree(p); }, "cudaFree of byte 0 of an allocation of 16 bytes that was freed");
  check_dies([] { cudaFree(device<int>(4) + 1); }, "cudaFree of byte 4 of an allocation of 16 bytes, which is not the beginning");
  check_dies([] { auto* p = pinned<int>(4); cudaFreeHost(p); touch(p); }, "the host reads 4 bytes, of them byte 0 of pinned host memory of 16 bytes that was freed");
  auto fine = [] {
    auto* p = device<int>(4);
    run([p] { *p = 1; }, 1, 1);
    cudaFreeAsync(p, nullptr);
    done();
  };
  CHECK(last_words(fine).find("exit status 0") == 0);
}

TEST_CASE("an allocator's pieces are watched like CUDA's own") {
  check_dies([] { auto* p = device<int>(8); emulator::forget(p, 16); run([p] { touch(p + 4); touch(p + 3); }, 1, 1), done(); }, "byte 12 of an allocation of 32 bytes that was freed");
  check_dies([] { auto* p = device<int>(8); emulator::remember(p, 12); run([p] { *p = 1; touch(p + 1); }, 1, 1), done(); }, "byte 4 of a piece of 12 bytes, which nothing has written");
  check_dies([] { auto* p = device<int>(8); emulator::remember(p, 12); run([p] { p[3] = 1; }, 1, 1), done(); }, "0 bytes past the end of a piece of 12 bytes");
  check_dies([] {
    Stream s;
    auto* p = device<int>(8);
    emulator::remember(p, 12, s);
    run([p] { p[2] = 1; }, 1, 1, 0, s);
    emulator::forget(p, 12, s);
    run([p] { p[1] = 1; }, 1, 1, 0, s), done();
  }, "byte 4 of a piece of 12 bytes that was freed");
}

TEST_CASE("a wide access is not aligned") {
  check_dies([] { auto* p = device<float>(8); run([p] { emulator::wide_access(p + 1, 16, false); }, 1, 1), done(); }, "reads 16 bytes at once at byte 4 of an allocation of 32 bytes");
  check_dies([] { auto* p = device<char>(32); run([p] { *reinterpret_cast<float*>(p + 2) = 1; }, 1, 1), done(); }, "writes 4 bytes at once at byte 2");
  check_dies([] {
    run([] {
      auto* s = static_cast<char*>(emulator::dynamic_shared());
      for (int i = thread(); i < 512; i += 32) s[i] = 0;
      __syncthreads();
      std::uint32_t r[4];
      emulator::ldmatrix(r, s + thread() * 8, 4, false);
    }, 1, 32, 512), done();
  }, "reads 16 bytes at once");
  check_dies([] { auto* p = device<float>(8); run([p] { emulator::cp_async(static_cast<char*>(emulator::dynamic_shared()), p + 1, 16, true); }, 1, 1, 64), done(); }, "reads 16 bytes at once at byte 4");
  check_dies([] { auto* p = device<float>(8); run([p] { emulator::cp_async(p, p + 4, 16, true); }, 1, 1, 64), done(); }, "cp.async writes byte 0 of an allocation");
}

// ---------------------------------------------------------------- threads that miss each other

TEST_CASE("a barrier that not all threads of the block reach") {
  check_dies([] { run([] { if (thread() != 3) __syncthreads(); }, 1, 64), done(); }, "a barrier that thread 3 never reaches: it has returned");
  check_dies([] { run([] { if (thread() < 32) __syncthreads(); else __shfl_xor_sync(everybody, 1, thread() == 40 ? 2 : 1), __syncwarp(); }, 1, 64), done(); }, "a barrier that thread");
  check_dies([] { run([] { if (thread() == 3) __syncwarp(); else __syncthreads(); }, 1, 32), done(); }, "waits in __syncwarp with mask 0xffffffff for thread", "which waits at __syncthreads");
}

TEST_CASE("a shuffle or a vote with a lane that is not there") {
  check_dies([] { run([] { if (thread() < 31) __shfl_xor_sync(everybody, 1, 1); }, 1, 32), done(); }, "shuffle");
  check_dies([] { run([] { __shfl_down_sync(everybody, 1, 1); }, 1, 20), done(); }, "a shuffle with mask 0xffffffff, but lane 20 does not exist");
  check_dies([] { run([] { if (thread() < 16) __shfl_sync(0xffffu, 1, 20); }, 1, 32), done(); }, "reads from lane 20, which is not in the mask 0xffff");
  check_dies([] { run([] { __shfl_sync(0xffffu, 1, 0); }, 1, 32), done(); }, "a shuffle with mask 0xffff, in which its own lane");
  check_dies([] { run([] { __shfl_sync(thread() < 4 ? 0xffu : everybody, 1, 0); }, 1, 32), done(); }, "a meeting that never happens");
  check_dies([] { run([] { if (thread() % 2) __ballot_sync(everybody, 1); else __shfl_sync(everybody, 1, 0); }, 1, 32), done(); }, "a meeting that never happens");
  check_dies([] { run([] { if (thread() != 9) __any_sync(everybody, 1); }, 1, 32), done(); }, "vote");
}

// ---------------------------------------------------------------- races

TEST_CASE("two threads of a block use the same shared memory with nothing between them") {
  check_dies([] { run([] { auto* s = static_cast<int*>(emulator::dynamic_shared()); s[thread()] = 1; touch(s + (thread() + 1) % 64); }, 1, 64, 256), done(); }, "of the dynamic shared memory of 256 bytes");
  check_dies([] { run([] { __shared__ int x; x = thread(); touch(&x); }, 1, 2), done(); }, "byte 0 of the shared variable x, which thread", "no barrier is between the two");
  check_dies([] { run([] { __shared__ int x[64]; x[thread()] = 1; __syncthreads(); int y = x[(thread() + 1) % 64]; x[thread()] = y; }, 1, 64), done(); }, "no barrier is between the two");
  check_dies([] { run([] { __shared__ int x[64]; x[thread()] = 1; __syncwarp(); touch(x + (thread() + 32) % 64); }, 1, 64), done(); }, "x");
  check_dies([] { run([] { __shared__ char x[4]; x[thread() / 2] = 1; touch(x + thread() / 2); }, 1, 8), done(); }, "no barrier is between the two");
}

TEST_CASE("a barrier, a meeting of the warp, or different bytes make it right") {
  auto fine = [] {
    auto* p = device<int>(64);
    run([] {
      __shared__ int x[64];
      __shared__ char c[64];
      c[thread()] = 1, touch(c + thread());
      x[thread()] = 1;
      __syncwarp();
      touch(x + (thread() ^ 1));
      __shfl_xor_sync(everybody, 1, 1);
      x[thread() ^ 1] = 2;
      __syncthreads();
      touch(x + (thread() + 32) % 64);
    }, 3, 64);
    run([p] {
      if (thread() < 4) {
        p[thread()] = 1;
        __syncwarp(0xf);
        touch(p + (thread() ^ 1));
      }
      __syncthreads();
      p[63 - thread()] = 1;
    }, 1, 64);
    run([p] { p[blockIdx.x * 32 + threadIdx.x] += 1; }, 2, 32);
    done();
  };
  auto said = last_words(fine);
  INFO(said);
  CHECK(said.find("exit status 0") == 0);
}

TEST_CASE("only those lanes that have met are ordered") {
  check_dies([] {
    auto* p = device<int>(64);
    run([p] {
      p[thread()] = 1;
      __syncwarp(thread() < 16 ? 0xffffu : 0xffff0000u);
      touch(p + (thread() + 16) % 32);
    }, 1, 32), done();
  }, "no barrier is between the two");
}

TEST_CASE("blocks of a launch use the same memory") {
  check_dies([] { auto* p = device<int>(1); run([p] { *p = 1; }, 2, 1), done(); }, "writes byte 0 of an allocation of 4 bytes, which a thread of another block wrote: nothing orders the two");
  check_dies([] { auto* p = device<int>(2); run([p] { touch(p + 1 - blockIdx.x); p[blockIdx.x] = 1; }, 2, 1), done(); }, "another block");
  check_dies([] { auto* p = device<int>(1); run([p] { if (blockIdx.x) atomicAdd(p, 1); else *p = 1; }, 2, 1), done(); }, "another block");
  check_dies([] { auto* p = device<int>(64); run([p] { p[thread()] = 1; touch(p + (thread() ^ 1)); }, 1, 64), done(); }, "no barrier is between the two");
}

// ---------------------------------------------------------------- copies under way

TEST_CASE("the host touches pinned memory while a copy may be under way") {
  check_dies([] { Stream s; auto* h = pinned<int>(4); cudaMemcpyAsync(h, device<int>(4), 16, cudaMemcpyDeviceToHost, s); touch(h); }, "the host reads byte 0 of pinned host memory of 16 bytes, while a copy to it may be under way");
  check_dies([] { Stream s; auto* h = pinned<int>(4); cudaMemcpyAsync(h, device<int>(4), 16, cudaMemcpyDeviceToHost, s); h[2] = 1; }, "the host writes byte 8 of pinned");
  check_dies([] { Stream s; auto* h = pinned<int>(4); cudaMemcpyAsync(device<int>(4), h, 16, cudaMemcpyHostToDevice, s); h[1] = 1; }, "while a copy from it may be under way");
  check_dies([] { Stream s, t; auto* h = pinned<int>(4); cudaMemcpyAsync(h, device<int>(4), 16, cudaMemcpyDeviceToHost, s); cudaStreamSynchronize(t); touch(h); }, "nobody has waited for its stream");
}

TEST_CASE("waiting for the stream, for an event behind the copy, or for a stream behind that makes it right") {
  auto fine = [] {
    Stream s, t;
    Event e;
    auto *h = pinned<int>(4), *d = device<int>(4);
    auto copy = [&] { cudaMemcpyAsync(h, d, 16, cudaMemcpyDeviceToHost, s); };
    copy(), cudaStreamSynchronize(s), touch(h);
    copy(), cudaEventRecord(e, s), cudaEventSynchronize(e), touch(h);
    copy(), cudaEventRecord(e, s), cudaStreamWaitEvent(t, e), cudaStreamSynchronize(t), touch(h);
    copy(), done(), touch(h);
    cudaMemcpyAsync(d, h, 16, cudaMemcpyHostToDevice, s), touch(h);
    copy(), cudaEventRecord(e, s);
    while (cudaEventQuery(e) != cudaSuccess) {}
    touch(h);
  };
  auto said = last_words(fine);
  INFO(said);
  CHECK(said.find("exit status 0") == 0);
}

TEST_CASE("a launched graph's copies are under way as well") {
  check_dies([] {
    Stream s;
    auto *h = pinned<int>(4), *d = device<int>(4);
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t exec = nullptr;
    cudaStreamBeginCapture(s, cudaStreamCaptureModeRelaxed);
    cudaMemcpyAsync(h, d, 16, cudaMemcpyDeviceToHost, s);
    cudaStreamEndCapture(s, &graph);
    cudaGraphInstantiate(&exec, graph, 0);
    *h = 1;
    cudaGraphLaunch(exec, s);
    touch(h);
  }, "while a copy to it may be under way");
}

TEST_CASE("a copy goes too far") {
  check_dies([] { int x[5] = {}; cudaMemcpy(device<int>(4), x, 20, cudaMemcpyHostToDevice); }, "a copy writes 0 bytes past the end of an allocation of 16 bytes");
  check_dies([] { auto* p = pinned<int>(4); cudaMemcpy(device<int>(8), p, 20, cudaMemcpyHostToDevice); }, "a copy touches host memory");
  check_dies([] { cudaMemset(device<int>(4), 0, 17), done(); }, "cudaMemset writes 0 bytes past the end");
}
