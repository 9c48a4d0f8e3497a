// A user's first program for a GPU: a few steps of gradient descent, after which the loss must be lower. Where there is no
// GPU, the CPU does them.
#include <cstdio>
#include <tricycle/tricycle.hpp>

int main() {
  using tricycle::CrossEntropy, tricycle::Dense, tricycle::ReLU, tricycle::Sequential, tricycle::StochasticGradientDescent;

  const auto device = tricycle::gpu::count() > 0 ? tricycle::Device::cuda() : tricycle::Device::cpu;
  auto inputs = tricycle::to_tensor({{5.1f, 3.5f, 1.4f, 0.2f}, {7.0f, 3.2f, 4.7f, 1.4f}, {6.3f, 3.3f, 6.0f, 2.5f}}).to(device);
  auto outputs = tricycle::to_tensor<int>({0, 1, 2}).to(device);

  tricycle::seed(42);
  Sequential model{Dense(4, 16), ReLU(), Dense(16, 3)};
  model.to(device);
  CrossEntropy loss_fn;
  StochasticGradientDescent optimiser{.learning_rate = 1e-2f};

  float first = 0, last = 0;
  for (int step = 0; step < 50; ++step) {
    auto loss = loss_fn(outputs, model(inputs));
    loss.backward();
    model.update(optimiser);
    last = loss.item();
    if (step == 0) first = last;
  }
  std::printf("loss %.4f, then %.4f\n", static_cast<double>(first), static_cast<double>(last));
  return last < first ? 0 : 1;
}
