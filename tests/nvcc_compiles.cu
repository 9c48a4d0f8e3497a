// The whole library through nvcc: a GPT in float and in bf16, trained for a step and asked once. It is compiled, not run.
#include "tricycle/tricycle.hpp"

template <class T>
float step() {
  tricycle::GPT<T> model(tricycle::GPTConfig{});
  tricycle::AdamW optimiser{.learning_rate = 1e-3};
  auto ids = tricycle::to_tensor<int>({{0, 1, 2, 3}});
  model.loss(ids, ids).backward();
  model.update(optimiser);

  tricycle::NoGrad no_grad;
  auto cache = model.cache();
  return static_cast<float>(model(ids, &cache).data()[0]);
}

int main() { return step<float>() > step<tricycle::bf16>() ? 0 : 1; }
