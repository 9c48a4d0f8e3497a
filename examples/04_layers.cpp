// A layer is a struct that can be called. It is made of other layers and of parameters, which an optimiser moves.
#include <cstdio>
#include <iostream>
#include <tricycle/tricycle.hpp>
using namespace tricycle;

/// A layer of your own: its parts as members, what it computes, and the names of the parts, once.
struct Classifier : Layer<Classifier> {
  Dense in{4, 8}, out{8, 3, {.bias = true}};
  LayerNorm norm{8};
  Dropout dropout{0.1f};

  template <Floating T>
  Tensor<T> operator()(const Tensor<T>& x) const { return out(dropout(gelu(norm(in(x))))); }    // (..., 4) -> (..., 3)
  static void parts(auto& self, auto&& part) {
    part("in", self.in), part("norm", self.norm), part("dropout", self.dropout), part("out", self.out);
  }
};

int main() {
  // Dense multiplies by a matrix of weights, which are drawn as it is made. Let one learn y = 2 x₀ - x₁ + 0.5.
  seed(42);
  Dense layer(2, 1, {.bias = true});
  auto x = to_tensor({{0, 0}, {0, 1}, {1, 0}, {1, 1}}, {.requires_grad = false});
  auto y = to_tensor({{0.5}, {-0.5}, {2.5}, {1.5}}, {.requires_grad = false});
  StochasticGradientDescent optimiser{.learning_rate = 0.5};
  for (int step = 0; step < 200; ++step) {
    auto loss = mean(pow(layer(x) - y, 2));
    loss.backward();
    layer.update(optimiser);                                  // moves every parameter, and forgets its gradient
  }
  auto learnt = layer.weights.as<float>();
  std::printf("y = %.2f x0 + %.2f x1 + %.2f\n", double(learnt.at(0, 0)), double(learnt.at(1, 0)), double(layer.bias->as<float>().at(0)));

  // Because it has named its parts, a layer knows its parameters, and can be saved and loaded.
  Classifier model;
  model.each_parameter([](const std::string& name, const Parameter& parameter) {
    std::cout << name << ' ' << parameter.shape() << '\n';
  });
  std::cout << model.parameter_count() << " numbers\n";
  save_model(model, "04_layers.safetensors");
  Classifier other;                                           // with other weights, until it has read the file
  load_model(other, "04_layers.safetensors");
  std::remove("04_layers.safetensors");

  // While a model learns, dropout drops. To use what was learnt, tell it so, and record nothing.
  NoGrad guard;
  model.eval(), other.eval();
  auto flowers = uniform({10, 4});
  std::cout << model(flowers).shape() << ' ' << std::boolalpha << close_to(model(flowers), other(flowers)) << '\n';
}
