// A GPT, from text to text: characters become ids, the model learns which comes next, and goes on with what it is given.
#include <cstdio>
#include <iostream>
#include <string>
#include <tricycle/tricycle.hpp>
using namespace tricycle;

int main() {
  const std::string text =
      "A wheel to steer and two to drive, a bell, a seat for one:\n"
      "with those you ride from half past five until the day is done.\n"
      "The road goes up, the road goes down, it bends around the hill,\n"
      "and who has pedalled out of town may sit there and be still.\n";

  // Tokens are what a model reads: here characters, 27 different ones. Windows of them are what it is shown, with the same
  // windows one token later as what comes next.
  auto tokeniser = CharacterTokeniser::train(text);
  auto data = CausalLMDataset(tokeniser.encode(text), 32).batch(8).shuffle(1);
  std::cout << tokeniser.vocab_size() << " tokens, " << data.size() << " windows\n";

  // Untrained it finds all tokens about equally likely: its loss is near ln 27, or 3.3. (GPT<bf16> is the same with activations in
  // 16 bits; parameters, and their gradients, stay in 32.)
  seed(42);
  GPT<float> model({.vocab_size = tokeniser.vocab_size(), .context_window = 32, .embedding_dim = 48, .n_heads = 4, .n_layers = 2});
  std::cout << model.parameter_count() << " numbers\n";
  AdamW optimiser{.weight_decay = 0.1};
  CosineSchedule rate{{.most = 5e-3, .least = 5e-4, .warm_up = 20, .total = 300}};
  for (int step = 0; step < 300; ++step) {
    auto [inputs, targets] = data.next();
    auto loss = model.loss(inputs, targets);
    loss.backward();
    clip_gradients(model, 1);
    optimiser.learning_rate = rate(step);
    model.update(optimiser);
    if (step == 0 || step == 299) std::printf("step %3d: loss %.1f\n", step, double(loss.item()));
  }

  // generate() hands over each token as it comes. At a temperature of 0 that is the likeliest; above, it is drawn.
  model.eval();
  const std::string prompt = "The road goes";
  std::cout << prompt;
  generate(model, tokeniser.encode(prompt), {.tokens = 51, .temperature = 0}, [&](int token) {
    std::cout << tokeniser.decode({{token}});
    return true;
  });
}
