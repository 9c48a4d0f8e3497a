// The smallest program that asks for a GPU.
#include <cstdio>
#include "tricycle/tricycle.hpp"

int main() {
  try {
    auto x = tricycle::ones({2}).to_gpu().from_gpu();
    std::printf("%g %g\n", static_cast<double>(x.data()[0]), static_cast<double>(x.data()[1]));
  } catch (const tricycle::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
