// Every tensor remembers how it was made, so the derivative of what you computed is one call away.
#include <iostream>
#include <tricycle/tricycle.hpp>
using namespace tricycle;

/// What was recorded, from a result back to what it was computed from.
void show(const AnyNode& node, const std::string& indent = "") {
  std::cout << indent << node << '\n';
  for (const auto& arg : node.args)
    if (arg) show(*arg, indent + "  ");                       // a constant has no history
}

int main() {
  // y = x² + 3x + 4 and its derivative 2x + 3, at x = 2.
  auto x = to_tensor(2);
  auto y = pow(x, 2) + 3 * x + 4;
  std::cout << y << '\n';
  y.backward();
  std::cout << x.grad() << '\n';

  // The record is public: each op has a name, and for each of its args a function that turns its gradient into theirs.
  y = pow(x, 2) + 3 * x + 4;
  show(*y.node());
  for (const auto& back_fn : y.back_fns()) std::cout << back_fn << '\n';

  // Gradients have the shape of what they belong to. A result that is no single number is taken as if it were summed.
  auto p = to_tensor({{1, 2}, {3, 4}}), q = to_tensor({10, 20});
  auto products = p * q;
  products.backward();
  std::cout << p.grad() << '\n';
  std::cout << q.grad() << '\n';                              // of a row that was used twice, so two gradients add up

  // Walking down a slope: (x - 3)² is smallest at 3. Gradients add up until they are forgotten.
  auto guess = to_tensor(0);
  for (int step = 0; step < 4; ++step) {
    auto loss = pow(guess - 3, 2);
    loss.backward();
    *guess.mutable_data() -= 0.25f * guess.grad().item();
    guess.zero_grad();
    std::cout << guess << '\n';
  }

  // Nothing is recorded for tensors that ask for no gradient, under a NoGrad, or behind detach().
  auto data = to_tensor({1, 2, 3}, {.requires_grad = false});
  std::cout << 2 * data << '\n';
  std::cout << 2 * x.detach() << '\n';
  {
    NoGrad guard;
    std::cout << 2 * x << '\n';
  }

  // backward() frees the record as it goes, unless it is to be kept for another walk.
  x.zero_grad();
  y.backward({.retain_graph = true});
  y.backward();
  std::cout << x.grad() << '\n';
  try {
    y.backward();
  } catch (const Error& error) {
    std::cout << error.what() << '\n';
  }
}
