// The main of the tests that need a GPU. Where none can be used it says why, and the test counts as skipped.
#include <cstdio>
#include <cuda_runtime.h>
#if __has_include(<catch2/catch_session.hpp>)
#include <catch2/catch_session.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif

int main(int argc, char** argv) {
  int n = 0;
  auto status = cudaGetDeviceCount(&n);
  if (status == cudaSuccess && n > 0) return Catch::Session().run(argc, argv);
  std::printf("skipped: no GPU can be used here: %s\n", cudaGetErrorString(status));
}
