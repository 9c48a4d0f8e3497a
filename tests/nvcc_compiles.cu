// The whole library through nvcc: a GPT in float and in bf16, trained for a step. It is compiled, not run.
#include "tricycle/tricycle.hpp"

template <class T>
float step() {
  tricycle::GPT<T> model(tricycle::DebugConfig{});
  tricycle::AdamW optimiser{.learning_rate = 1e-3f};
  auto ids = tricycle::to_tensor<int>({{0, 1, 2, 3}});
  auto loss = model.loss(ids, ids);
  loss.backward();
  model.update(optimiser);
  return static_cast<float>(loss.item());
}

int main() { return step<float>() > 0 && step<tricycle::bf16>() > 0 ? 0 : 1; }
