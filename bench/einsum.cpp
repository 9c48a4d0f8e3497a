// The time of each einsum of a suite, as peers/einsum.py takes it of PyTorch. One line of JSON for each.
#include <cstdio>
#include <fstream>
#include "../examples/command_line.hpp"
#include "measure.hpp"
#include "tricycle/tricycle.hpp"

namespace {
using namespace tricycle;

/// A line of the suite: "ij,jk->ik [2 3] [3 4]".
struct Case {
  std::string subscript;
  std::vector<Tensor<float>> operands;

  explicit Case(const std::string& line) {
    std::istringstream words(line);
    words >> subscript;
    Shape shape;
    for (std::string word; words >> word;) {
      if (word[0] == '[') shape = {};
      shape.push_back(std::stoll(word.substr(word[0] == '[')));
      if (word.back() == ']') operands.push_back(normal(shape, 0, 1, {.requires_grad = false}));
    }
  }
};

int program(examples::CommandLine& line) {
  std::string suite = "bench/einsum_suite.txt", only;
  int samples = 9, n_threads = threads();
  line.about("Times every einsum of a suite.");
  line.option("--suite FILE", suite, "a subscript and the shapes of its operands on each line");
  line.option("--only SUBSCRIPT", only, "this one alone");
  line.option("--threads N", n_threads, "threads", {.least = 1});
  line.option("--samples N", samples, "samples, of which the median is told", {.least = 1});
  line.parse();
  set_threads(n_threads);
  std::ifstream lines(suite);
  for (std::string text; std::getline(lines, text);) {
    const Case one(text);
    if (!only.empty() && one.subscript != only) continue;
    const Einsum e(one.subscript);
    auto run = [&] { e(one.operands); };
    const double once = bench::median_seconds(3, run);
    const int times = static_cast<int>(2e-3 / once) + 1;  // a sample takes 2 ms or more
    const double us = 1e6 / times * bench::median_seconds(samples, [&] { for (int i = 0; i < times; ++i) run(); });
    std::printf("{\"peer\": \"tricycle\", \"threads\": %d, \"case\": \"`%s`%s\", \"us\": %.3f}\n", threads(), one.subscript.c_str(), text.c_str() + one.subscript.size(), us);
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) { return examples::run_main(argc, argv, program); }
