// A network of 16 neurons learns to tell three species of iris apart by four lengths (Fisher, 1936).
#include <cstdio>
#include <fstream>
#include <limits>
#include <tricycle/tricycle.hpp>
using namespace tricycle;

#ifndef TRICYCLE_IRIS                                         // CMake knows the whole path
#define TRICYCLE_IRIS "examples/iris.csv"
#endif

int main() {
  // 150 lines of four lengths in centimetres and a species, 0, 1 or 2, below a line of headings.
  std::vector<float> lengths;
  std::vector<int> species;
  std::ifstream file(TRICYCLE_IRIS);
  file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  for (float number = 0; file >> number; file.ignore()) {     // a comma, or the end of the line
    if (lengths.size() < 4 * (species.size() + 1)) lengths.push_back(number);
    else species.push_back(static_cast<int>(number));
  }
  auto n = static_cast<Index>(species.size());
  check(n > 0, TRICYCLE_IRIS, " cannot be read");
  auto inputs = to_tensor(lengths, {n, 4}, {.requires_grad = false});
  auto outputs = to_tensor<int>(species, {n});

  // Braces, not parentheses: the weights are drawn as the layers are made, and only in braces does C++ make them in order.
  seed(42);
  Sequential model{Dense(4, 16), ReLU(), Dense(16, 3)};
  CrossEntropy loss_fn;
  StochasticGradientDescent optimiser{.learning_rate = 1e-1};
  for (int step = 0; step < 1000; ++step) {
    auto loss = loss_fn(outputs, model(inputs));
    if (step == 0 || step == 10 || step == 100 || step == 999) std::printf("step %3d: loss %.4f\n", step, double(loss.item()));
    loss.backward();
    model.update(optimiser);
  }

  // The species that the network finds likeliest, against what it is.
  auto right = cast<float>(argmax(model(inputs)) == cast<Index>(outputs));
  std::printf("accuracy %.2f\n", double(mean(right).item()));
}
