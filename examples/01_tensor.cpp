// A tensor is a grid of numbers: how to make one, compute with it and look at it.
#include <iostream>
#include <tricycle/tricycle.hpp>
using namespace tricycle;

int main() {
  // Numbers in braces make a tensor. It prints as NumPy prints an array, with the name of the op that made it, if one did.
  auto a = to_tensor({1, 2, 3}), b = to_tensor({4, 5, 6});
  std::cout << a << '\n';
  std::cout << a + b << '\n';
  std::cout << (a < b) << '\n';

  // Braces in braces make more axes. Shapes that differ broadcast as they do in NumPy: here the row is used twice.
  auto m = to_tensor({{1, 2, 3}, {4, 5, 6}});
  std::cout << m.shape() << '\n';
  std::cout << m * a + 1 << '\n';

  // Sums, means and maxima run over all axes or over those that you name; argmax over the last one.
  std::cout << sum(m) << '\n';
  std::cout << mean(m, {.over = {0}}) << '\n';
  std::cout << max(m, {.over = {1}, .keepdims = true}) << '\n';
  std::cout << argmax(m) << '\n';

  // Shapes change without a word about memory: a tensor is always contiguous, its last axis innermost.
  std::cout << transpose(m) << '\n';
  std::cout << m.reshape({-1, 2}) << '\n';
  std::cout << concatenate(a, b) << '\n';
  for (const auto& third : split(m, 3)) std::cout << third << '\n';

  // A tensor holds float unless told otherwise. Types never mix by themselves: what is to meet a double must be one.
  std::cout << to_tensor<int>({0, 2, 1}) << '\n';
  std::cout << 1 / to_tensor(3) << '\n';
  std::cout << 1 / to_tensor<double>(3) << '\n';
  std::cout << cast<double>(a) + to_tensor<double>({0.25, 0.5, 0.75}) << '\n';

  // Random numbers are NumPy's: these are np.random.seed(42) and np.random.uniform(size=3).
  seed(42);
  std::cout << uniform({3}) << '\n';

  // Numbers come out one at a time or all together. A Tensor is a handle: a copy sees the same numbers, a clone has its own.
  auto same = a, own = a.clone();
  same.mutable_data()[0] = 10;
  std::cout << m.at(1, -1) << ' ' << sum(m).item() << ' ' << b.to_vector().size() << '\n';
  std::cout << a << ' ' << own << '\n';

  // What makes no sense throws a tricycle::Error, whose sentence names the op, the shapes and what is wrong.
  try {
    std::cout << a + to_tensor({1, 2}) << '\n';
  } catch (const Error& error) {
    std::cout << error.what() << '\n';
  }
}
