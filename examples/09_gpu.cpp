// A GPT that learns to count, on a GPU if this program was built for one and one is here, and else on the CPU.
#include <iostream>
#include <tricycle/tricycle.hpp>
using namespace tricycle;

int main() {
  Device device = Device::cpu;
#ifdef TRICYCLE_CUDA                                       // nvcc compiles this: see "On a GPU" in the README
  if (gpu::count() > 0) device = Device::cuda();
#endif

  seed(42);
  GPTConfig config{.vocab_size = 10, .context_window = 20, .embedding_dim = 32, .n_heads = 2, .n_layers = 2};
  AdamW optimiser{.learning_rate = 3e-3};
  std::vector<int> text;
  for (int i = 0; i < 5000; ++i) text.push_back(i % 10);
  auto data = CausalLMDataset(text, 20).batch(8).shuffle(1);

  GPT<bf16> model(config);
  model.to(device);                                        // back with model.from_gpu()
  auto loss = full({}, 0);
  for (int step = 0; step < 100; ++step) {
    auto [inputs, targets] = data.next();
    loss = model.loss(inputs.to(device), targets.to(device));
    loss.backward();
    clip_gradients(model, 1);
    model.update(optimiser);
  }
  double last = loss.item();                               // waits for the GPU; nothing above does
  std::cout << (last < 0.1 ? "it can count" : "it cannot count yet") << '\n';

  model.eval();
  for (int token : generate(model, {3, 4}, {.tokens = 6, .temperature = 0})) std::cout << token << ' ';
  std::cout << '\n';
}
