// For the tests of the emulator: a kernel from a lambda, device memory from a vector, and a child process that should die.
#pragma once
#include <cuda_runtime.h>
#include <sys/wait.h>
#include <unistd.h>
#include <string>
#include <type_traits>
#include <vector>
#include "../catch.hpp"

template <class F>
__global__ void entry(const F f) { f(); }

/// f() by each thread. Parameters are what the lambda captures.
template <class F>
cudaError_t run(F f, dim3 grid, dim3 block, std::size_t shared = 0, cudaStream_t stream = nullptr) {
  void* arguments[] = {&f};
  return cudaLaunchKernel(entry<F>, grid, block, arguments, shared, stream);
}

inline int thread() { return static_cast<int>(threadIdx.x); }

/// So many numbers on the GPU.
template <class T>
struct Numbers {
  T* p = nullptr;
  std::size_t size;
  explicit Numbers(std::size_t n) : size(n) { REQUIRE(cudaMalloc(&p, n * sizeof(T)) == cudaSuccess); }
  Numbers(const std::vector<T>& from) : Numbers(from.size()) { write(from); }
  ~Numbers() { cudaDeviceSynchronize(), cudaFree(p); }
  Numbers(const Numbers&) = delete;
  Numbers& operator=(const Numbers&) = delete;
  void write(const std::vector<T>& from) { REQUIRE(cudaMemcpy(p, from.data(), size * sizeof(T), cudaMemcpyHostToDevice) == cudaSuccess); }
  std::vector<T> read() const {
    std::vector<T> to(size);
    REQUIRE(cudaMemcpy(to.data(), p, size * sizeof(T), cudaMemcpyDeviceToHost) == cudaSuccess);
    return to;
  }
};

struct Stream {
  cudaStream_t s = nullptr;
  explicit Stream(unsigned flags = cudaStreamNonBlocking) { REQUIRE(cudaStreamCreateWithFlags(&s, flags) == cudaSuccess); }
  ~Stream() { cudaStreamDestroy(s); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  operator cudaStream_t() const { return s; }
};

struct Event {
  cudaEvent_t e = nullptr;
  explicit Event(unsigned flags = cudaEventDisableTiming) { REQUIRE(cudaEventCreateWithFlags(&e, flags) == cudaSuccess); }
  ~Event() { cudaEventDestroy(e); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  operator cudaEvent_t() const { return e; }
};

/// What f, which should end its process, said: its stderr if the status was 86, else what went wrong.
template <class F>
std::string last_words(F f) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    dup2(ends[1], 2);
    close(ends[0]), close(ends[1]);
    f();
    _exit(0);
  }
  close(ends[1]);
  std::string said;
  char buffer[512];
  for (ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;) said.append(buffer, static_cast<std::size_t>(n));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 86) return said;
  auto end = WIFEXITED(status) ? "exit status " + std::to_string(WEXITSTATUS(status)) : "signal " + std::to_string(WTERMSIG(status));
  return end + ", having said: " + said;
}

/// last_words(f) begin with "emulator: " and have these parts.
template <class F, class... Parts>
void check_dies(F f, const Parts&... parts) {
  auto said = last_words(f);
  INFO(said);
  CHECK(said.substr(0, 10) == "emulator: ");
  for (std::string part : {std::string(parts)...}) {
    INFO(part);
    CHECK(said.find(part) != std::string::npos);
  }
}
