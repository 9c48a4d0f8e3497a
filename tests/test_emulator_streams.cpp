// The emulated GPU's streams: work waits for its turn, events order it, and graphs record it.
#include <cstdlib>
#include <thread>
#include "emulator/testing.hpp"

namespace {

void set(int* p, int x, cudaStream_t s) { REQUIRE(run([=] { *p = x; }, 1, 1, 0, s) == cudaSuccess); }
void times_ten_plus(int* p, int x, cudaStream_t s) { REQUIRE(run([=] { *p = *p * 10 + x; }, 1, 1, 0, s) == cudaSuccess); }

}  // namespace

TEST_CASE("work of one stream is done in its order, and not before somebody waits or time passes") {
  Stream s;
  Numbers<int> n(1);
  set(n.p, 0, s);
  for (int i = 1; i <= 8; ++i) times_ten_plus(n.p, i, s);
  CHECK(n.size == 1);
  REQUIRE(cudaStreamSynchronize(s) == cudaSuccess);
  CHECK(n.read()[0] == 12345678);
  int deferred = 0;
  for (int i = 0; i < 50; ++i) {
    set(n.p, i, s);
    deferred += cudaStreamQuery(s) == cudaErrorNotReady;
    REQUIRE(cudaStreamSynchronize(s) == cudaSuccess);
  }
  CHECK(deferred > 0);
  CHECK(deferred < 50);
  cudaGetLastError();
}

TEST_CASE("streams are not ordered among each other, unless an event says so") {
  int differ = 0;
  for (int i = 0; i < 40; ++i) {
    bool with_event = i % 2;
    Stream a, b;
    Event e;
    Numbers<int> n(std::vector<int>{0});
    for (int j = 0; j < 3; ++j) times_ten_plus(n.p, 1, a);
    REQUIRE(cudaEventRecord(e, a) == cudaSuccess);
    if (with_event) REQUIRE(cudaStreamWaitEvent(b, e) == cudaSuccess);
    times_ten_plus(n.p, 2, b);
    REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
    if (with_event) CHECK(n.read()[0] == 1112);
    else differ += n.read()[0] != 1112;
  }
  CHECK(differ > 0);
}

TEST_CASE("events: ready when the work before them is, and timed if asked for") {
  Stream s;
  Event a(cudaEventDefault), b(cudaEventDefault), untimed;
  Numbers<int> n(1);
  CHECK(cudaEventQuery(a) == cudaSuccess);
  REQUIRE(cudaEventRecord(a, s) == cudaSuccess);
  set(n.p, 1, s);
  REQUIRE(cudaEventRecord(b, s) == cudaSuccess);
  REQUIRE(cudaEventSynchronize(b) == cudaSuccess);
  CHECK(cudaEventQuery(b) == cudaSuccess);
  float ms = -1;
  CHECK(cudaEventElapsedTime(&ms, a, b) == cudaSuccess);
  CHECK(ms >= 0);
  CHECK(cudaEventElapsedTime(&ms, a, untimed) == cudaErrorInvalidResourceHandle);
  cudaGetLastError();
}

TEST_CASE("the legacy stream waits for those that block on it, and they for it") {
  for (int i = 0; i < 20; ++i) {
    Stream blocking(cudaStreamDefault);
    Numbers<int> n(std::vector<int>{0});
    times_ten_plus(n.p, 1, blocking);
    times_ten_plus(n.p, 2, nullptr);
    times_ten_plus(n.p, 3, blocking);
    CHECK(n.read()[0] == 123);                           // a copy that blocks is the legacy stream's work too
  }
}

TEST_CASE("copies take along what they need, pinned or not") {
  Stream s;
  Numbers<int> n(4), m(4);
  int *pinned = nullptr, plain[4] = {1, 2, 3, 4};
  REQUIRE(cudaMallocHost(&pinned, 16) == cudaSuccess);
  REQUIRE(cudaMemcpyAsync(n.p, plain, 16, cudaMemcpyHostToDevice, s) == cudaSuccess);
  plain[0] = 100;                                        // has been read already
  REQUIRE(cudaMemcpyAsync(m.p, n.p, 16, cudaMemcpyDeviceToDevice, s) == cudaSuccess);
  REQUIRE(cudaMemsetAsync(n.p, 0xff, 8, s) == cudaSuccess);
  REQUIRE(cudaMemcpyAsync(pinned, m.p, 16, cudaMemcpyDeviceToHost, s) == cudaSuccess);
  REQUIRE(cudaMemcpyAsync(plain, n.p, 16, cudaMemcpyDefault, s) == cudaSuccess);    // waits by itself
  CHECK((plain[0] == -1 && plain[1] == -1 && plain[2] == 3 && plain[3] == 4));
  REQUIRE(cudaStreamSynchronize(s) == cudaSuccess);
  CHECK((pinned[0] == 1 && pinned[3] == 4));
  CHECK(cudaMemcpyAsync(n.p, plain, 16, cudaMemcpyDeviceToHost, s) == cudaErrorInvalidValue);
  CHECK(cudaGetLastError() == cudaErrorInvalidValue);
  REQUIRE(cudaFreeHost(pinned) == cudaSuccess);
}

TEST_CASE("two GPUs exchange numbers, and a stream is of one of them") {
  Stream here;
  REQUIRE(cudaSetDevice(1) == cudaSuccess);
  Stream there;
  Event e;
  int *a = nullptr, *b = nullptr;
  REQUIRE(cudaMalloc(&b, 4) == cudaSuccess);
  set(b, 7, there);
  REQUIRE(cudaEventRecord(e, there) == cudaSuccess);
  CHECK(cudaEventRecord(e, here) == cudaErrorInvalidResourceHandle);
  CHECK(run([] {}, 1, 1, 0, here) == cudaErrorInvalidResourceHandle);
  REQUIRE(cudaSetDevice(0) == cudaSuccess);
  REQUIRE(cudaMalloc(&a, 4) == cudaSuccess);
  REQUIRE(cudaStreamWaitEvent(here, e) == cudaSuccess);
  REQUIRE(cudaMemcpyAsync(a, b, 4, cudaMemcpyDefault, here) == cudaSuccess);
  times_ten_plus(a, 1, here);
  int got = 0;
  REQUIRE(cudaMemcpyAsync(&got, a, 4, cudaMemcpyDeviceToHost, here) == cudaSuccess);
  CHECK(got == 71);
  cudaFree(a), cudaFree(b);
  cudaGetLastError();
}

TEST_CASE("a function of the host's has its turn in a stream") {
  Stream s;
  Numbers<int> n(1);
  int* pinned = nullptr;
  REQUIRE(cudaMallocHost(&pinned, 4) == cudaSuccess);
  struct Seen { int *from, got; } seen{pinned, 0};
  set(n.p, 5, s);
  REQUIRE(cudaMemcpyAsync(pinned, n.p, 4, cudaMemcpyDeviceToHost, s) == cudaSuccess);
  REQUIRE(cudaLaunchHostFunc(s, [](void* p) { auto& it = *static_cast<Seen*>(p); it.got = *it.from; }, &seen) == cudaSuccess);
  REQUIRE(cudaStreamSynchronize(s) == cudaSuccess);
  CHECK(seen.got == 5);
  cudaFreeHost(pinned);
}

TEST_CASE("a captured graph does all of it again at each launch") {
  Stream s, t;
  Event fork, join;
  Numbers<int> n(std::vector<int>{0}), m(std::vector<int>{0});
  int* pinned = nullptr;
  REQUIRE(cudaMallocHost(&pinned, 4) == cudaSuccess);
  int called = 0;
  REQUIRE(cudaStreamBeginCapture(s, cudaStreamCaptureModeRelaxed) == cudaSuccess);
  cudaStreamCaptureStatus status{};
  CHECK((cudaStreamIsCapturing(s, &status) == cudaSuccess && status == cudaStreamCaptureStatusActive));
  times_ten_plus(n.p, 1, s);
  REQUIRE(cudaEventRecord(fork, s) == cudaSuccess);
  REQUIRE(cudaStreamWaitEvent(t, fork) == cudaSuccess);
  CHECK((cudaStreamIsCapturing(t, &status) == cudaSuccess && status == cudaStreamCaptureStatusActive));
  REQUIRE(run([p = m.p, q = n.p] { *p += *q; }, 1, 1, 0, t) == cudaSuccess);
  REQUIRE(cudaLaunchHostFunc(t, [](void* p) { ++*static_cast<int*>(p); }, &called) == cudaSuccess);
  REQUIRE(cudaEventRecord(join, t) == cudaSuccess);
  REQUIRE(cudaStreamWaitEvent(s, join) == cudaSuccess);
  REQUIRE(cudaMemcpyAsync(pinned, m.p, 4, cudaMemcpyDeviceToHost, s) == cudaSuccess);
  cudaGraph_t graph = nullptr;
  REQUIRE(cudaStreamEndCapture(s, &graph) == cudaSuccess);
  std::size_t nodes = 0;
  CHECK((cudaGraphGetNodes(graph, nullptr, &nodes) == cudaSuccess && nodes == 4));
  CHECK(n.read()[0] == 0);
  cudaGraphExec_t exec = nullptr;
  REQUIRE(cudaGraphInstantiate(&exec, graph, 0) == cudaSuccess);
  REQUIRE(cudaGraphDestroy(graph) == cudaSuccess);
  for (int i = 0; i < 3; ++i) REQUIRE(cudaGraphLaunch(exec, s) == cudaSuccess);
  REQUIRE(cudaStreamSynchronize(s) == cudaSuccess);
  CHECK(n.read()[0] == 111);
  CHECK(*pinned == 1 + 11 + 111);
  CHECK(called == 3);
  REQUIRE(cudaGraphExecDestroy(exec) == cudaSuccess);
  cudaFreeHost(pinned);
}

TEST_CASE("what a capture forbids is refused, and spoils it") {
  Stream s, t;
  Event e;
  cudaGraph_t graph = nullptr;
  int plain = 0;
  Numbers<int> n(std::vector<int>{0});
  auto spoils = [&](cudaStreamCaptureMode mode, auto call, cudaError_t refused, cudaError_t at_end = cudaErrorStreamCaptureInvalidated) {
    REQUIRE(cudaStreamBeginCapture(s, mode) == cudaSuccess);
    CHECK(call() == refused);
    CHECK(cudaStreamEndCapture(s, &graph) == at_end);
    if (graph) cudaGraphDestroy(graph);
    cudaGetLastError();
  };
  void* p = nullptr;
  auto allocates = [&] { return cudaMalloc(&p, 4); };
  const auto global = cudaStreamCaptureModeGlobal, own = cudaStreamCaptureModeThreadLocal, relaxed = cudaStreamCaptureModeRelaxed;
  spoils(relaxed, [&] { return cudaStreamSynchronize(s); }, cudaErrorStreamCaptureUnsupported);
  spoils(relaxed, [&] { return cudaStreamQuery(s); }, cudaErrorStreamCaptureUnsupported);
  spoils(relaxed, [&] { return cudaMemcpyAsync(n.p, &plain, 4, cudaMemcpyHostToDevice, s); }, cudaErrorStreamCaptureUnsupported);
  spoils(relaxed, [] { return cudaDeviceSynchronize(); }, cudaErrorStreamCaptureUnsupported);
  spoils(relaxed, [&] { return cudaEventRecord(e, s), cudaEventSynchronize(e); }, cudaErrorCapturedEvent);
  spoils(relaxed, [&] { return cudaEventRecord(e, t), cudaStreamWaitEvent(s, e); }, cudaErrorStreamCaptureIsolation);
  spoils(global, allocates, cudaErrorStreamCaptureUnsupported);
  spoils(own, allocates, cudaErrorStreamCaptureUnsupported);
  spoils(global, [&] { return cudaMemcpy(n.p, &plain, 4, cudaMemcpyHostToDevice); }, cudaErrorStreamCaptureUnsupported);
  spoils(global, [] { return cudaDeviceSynchronize(); }, cudaErrorStreamCaptureUnsupported);
  spoils(relaxed, allocates, cudaSuccess, cudaSuccess);
  cudaFree(p);
  spoils(global, [&] { auto mode = relaxed; cudaThreadExchangeStreamCaptureMode(&mode); auto e1 = allocates(); cudaThreadExchangeStreamCaptureMode(&mode); return e1; }, cudaSuccess, cudaSuccess);
  cudaFree(p);
  spoils(own, [&] { cudaError_t there{}; std::thread([&] { there = allocates(); }).join(); return there; }, cudaSuccess, cudaSuccess);
  cudaFree(p);
  spoils(global, [&] { cudaError_t there{}; std::thread([&] { there = allocates(); }).join(); return there; }, cudaErrorStreamCaptureUnsupported);
  spoils(relaxed, [&] { cudaEventRecord(e, s), cudaStreamWaitEvent(t, e); return run([] {}, 1, 1, 0, t); }, cudaSuccess, cudaErrorStreamCaptureUnjoined);
  CHECK(cudaStreamEndCapture(s, &graph) == cudaErrorIllegalState);
  CHECK(cudaStreamBeginCapture(nullptr, relaxed) == cudaErrorStreamCaptureUnsupported);
  cudaGetLastError();
}

TEST_CASE("launches, synchronisations and allocations are counted") {
  Stream s;
  auto before = emulator::counts();
  {
    Numbers<int> n(1);
    set(n.p, 1, s);
    set(n.p, 2, s);
    REQUIRE(cudaStreamSynchronize(s) == cudaSuccess);
    auto after = emulator::counts();
    CHECK(after.allocations - before.allocations == 1);
    CHECK(after.launches - before.launches == 2);
    CHECK(after.synchronisations - before.synchronisations == 1);
    n.read();
    CHECK(emulator::counts().synchronisations - before.synchronisations == 2);
  }
}

TEST_CASE("the same seed gives the same order") {
  auto order = [](std::uint64_t seed) {
    Numbers<int> n(65);
    n.write(std::vector<int>(65));
    emulator::set_seed(seed);
    REQUIRE(run([p = n.p] {
      int place = atomicAdd(p, 1);
      p[1 + place] = thread();
    }, 1, 64) == cudaSuccess);
    return n.read();
  };
  CHECK(order(5) == order(5));
  CHECK(order(5) != order(6));
  emulator::set_seed(1);
}

TEST_CASE("threads of the host have streams of their own, and kernels run one at a time") {
  Numbers<int> n(std::vector<int>(4));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      cudaStream_t s = nullptr;
      cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking);
      for (int k = 0; k < 50; ++k) {
        run([p = n.p + i] {
          int x = *p;
          __syncthreads();
          if (thread() == 0) *p = x + 1;
        }, 1, 33, 0, s);
        if (k % 10 == 9) cudaStreamSynchronize(s);
      }
      cudaStreamDestroy(s);
    });
  for (auto& t : threads) t.join();
  CHECK(n.read() == std::vector<int>(4, 50));
}

TEST_CASE("no GPU is visible if the environment says so") {
  auto said = last_words([] {
    setenv("CUDA_VISIBLE_DEVICES", "", 1);
    execl("/proc/self/exe", "emulator_streams", "[.no_gpu]", static_cast<char*>(nullptr));
  });
  INFO(said);
  CHECK(said.find("exit status 0") == 0);
}

TEST_CASE("where no GPU is visible, there is none", "[.no_gpu]") {
  int n = 1;
  CHECK(cudaGetDeviceCount(&n) == cudaErrorNoDevice);
  CHECK(n == 0);
  void* p = nullptr;
  CHECK(cudaMalloc(&p, 4) == cudaErrorNoDevice);
  CHECK(cudaSetDevice(0) == cudaErrorNoDevice);
}
