// What an op costs where there is nothing to compute: a chain of ops on one number, forward and backward, as
// peers/scalar_chain.py times it in PyTorch. One line of JSON for each length.
#include <cstdio>
#include "../examples/command_line.hpp"
#include "measure.hpp"
#include "tricycle/tricycle.hpp"

namespace {
using namespace tricycle;

int program(examples::CommandLine& line) {
  int samples = 15, n_threads = threads();
  line.about("Times chains of ops on one number.");
  line.option("--threads N", n_threads, "threads", {.least = 1});
  line.option("--samples N", samples, "samples, of which the median is told", {.least = 1});
  line.parse();
  set_threads(n_threads);
  for (int length : {1000, 10000, 100000}) {
    const double us = 1e6 * bench::median_seconds(samples, [&] {
      auto x = to_tensor({1.f});
      auto y = x;
      for (int i = 0; i < length / 4; ++i) y = sin(y * 0.999 + x) * x;
      y.backward();
    });
    std::printf("{\"peer\": \"tricycle\", \"threads\": %d, \"case\": \"%d ops\", \"us\": %.3f}\n", threads(), length, us);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) { return examples::run_main(argc, argv, program); }
