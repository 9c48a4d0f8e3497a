// iris: which of three species is a flower? The smallest network that tells, on Fisher's 150 flowers.
#include <sstream>
#include "command_line.hpp"
#include "tricycle/tricycle.hpp"

namespace {
using namespace tricycle;

struct Flowers {
  Tensor<float> measures;                                // (150, 4), in centimetres
  Tensor<int> species;                                   // (150)
};

/// Lines of four lengths and a number of the species, below a line of headings.
Flowers read_flowers(const std::string& path) {
  std::istringstream lines(read_file(path));
  std::string line;
  std::getline(lines, line);
  std::vector<float> measures;
  std::vector<int> species;
  for (int number = 2; std::getline(lines, line); ++number) {
    std::istringstream fields(line);
    float measure = 0;
    char comma = 0;
    for (int i = 0; i < 4; ++i) {
      check(bool(fields >> measure >> comma) && comma == ',', path, ": line ", number, " is not four lengths and a species");
      measures.push_back(measure);
    }
    species.push_back(-1);
    check(bool(fields >> species.back()) && species.back() >= 0 && species.back() < 3, path, ": line ", number, " has no species from 0 to 2");
    check((fields >> std::ws).eof(), path, ": line ", number, " has more than four lengths and a species");
  }
  check(!species.empty(), path, ": there are no flowers");
  auto n = static_cast<Index>(species.size());
  return {to_tensor(measures, {n, 4}, {.requires_grad = false}), to_tensor<int>(species, {n})};
}

int program(examples::CommandLine& line) {
  std::string data = TRICYCLE_IRIS;
  line.about("Trains a network of 16 neurons to tell three species of iris apart.");
  line.option("--data FILE", data, "150 flowers as comma-separated values");
  line.parse();

  auto [inputs, outputs] = read_flowers(data);
  seed(42);
  Sequential model{Dense(4, 16), ReLU(), Dense(16, 3)};       // braces: then C++ makes the layers from left to right
  CrossEntropy loss_fn;
  StochasticGradientDescent optimiser{.learning_rate = 1e-1};
  for (int step = 0; step < 1000; ++step) {
    auto loss = loss_fn(outputs, model(inputs));
    if (step == 0 || step == 999) std::printf("loss at step %d: %.7g\n", step, static_cast<double>(loss.item()));
    loss.backward();
    model.update(optimiser);
  }
  auto predicted = argmax(model(inputs));
  Index right = 0;
  for (Index i = 0; i < outputs.size(); ++i) right += predicted.at(i) == outputs.at(i);
  std::printf("accuracy: %.2f\n", static_cast<double>(right) / static_cast<double>(outputs.size()));
  return 0;
}

}  // namespace

int main(int argc, char** argv) { return examples::run_main(argc, argv, program); }
