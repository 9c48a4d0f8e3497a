// Every kernel that training a GPT starts on a GPU, in float and in bf16: forward, backward, clipping, AdamW. kernels.py
// compiles it and reads what the compiler says of each; it is not run.
#include "tricycle/tricycle.hpp"

template <class T>
float step() {
  using namespace tricycle;
  GPT<T> model(GPTConfig{.dropout = 0.1f});
  model.to_gpu();
  AdamW optimiser{.learning_rate = 1e-3, .weight_decay = 0.1, .decays = matrices_only};
  auto ids = to_tensor<int>({{0, 1, 2, 3}}).to_gpu();
  auto loss = model.loss(ids, ids);
  loss.backward();
  clip_gradients(model, 1);
  model.update(optimiser);
  return static_cast<float>(loss.item());
}

int main() { return step<float>() > step<tricycle::bf16>() ? 0 : 1; }
