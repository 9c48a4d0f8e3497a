// Einsum: a letter for each axis, and every product of tensors is a short string.
#include <iostream>
#include <tricycle/tricycle.hpp>
using namespace tricycle;

int main() {
  auto m = to_tensor({{1, 2}, {3, 4}}), n = to_tensor({{5, 6}, {7, 8}});

  // The result has the letters behind the arrow, in that order; what is not among them is summed.
  std::cout << Einsum("ij->ji")(m) << '\n';
  std::cout << Einsum("ij->i")(m) << '\n';
  std::cout << Einsum("ij,jk->ik")(m, n) << '\n';

  // In angle brackets the compiler reads the string, and refuses one that makes no sense.
  std::cout << einsum<"ij,jk->ik">(m, n) << '\n';             // the matrix product
  std::cout << einsum<"ij,kj->ik">(m, n) << '\n';             // m nᵀ, without a transposed copy
  std::cout << einsum<"ij,ij->ij">(m, n) << '\n';             // element by element
  std::cout << einsum<"ij,ij->">(m, n) << '\n';               // all of that summed
  std::cout << einsum<"i,j->ij">(to_tensor({1, 2}), to_tensor({1, 10, 100})) << '\n';

  // Three dots stand for any number of leading axes, and without an arrow the letters that appear once stay.
  auto batch = ones({5, 7, 2});
  std::cout << einsum<"...i,ij->...j">(batch, m).shape() << '\n';
  std::cout << einsum<"ij,jk">(m, n).name() << '\n';

  // Attention is two of them: every query (q) of every head (n) meets every key (k), then collects values.
  auto queries = ones({1, 3, 2, 4}), keys = ones({1, 3, 2, 4}), values = ones({1, 3, 2, 4});      // (batch, time, head, size)
  auto weights = softmax(einsum<"bqnh,bknh->bnqk">(queries, keys) / 2);                           // 2: the root of the size
  std::cout << weights.shape() << ' ' << einsum<"bnqk,bknh->bqnh">(weights, values).shape() << '\n';

  // The gradient of an einsum is an einsum with letters swapped, so it needs no formula of its own: of m it is 1 nᵀ.
  auto product = einsum<"ij,jk->ik">(m, n);
  product.backward();
  std::cout << m.grad() << '\n';
  std::cout << std::boolalpha << close_to(m.grad(), einsum<"ik,jk->ij">(ones({2, 2}), n)) << '\n';

  // A string made while the program runs is checked then. What does not fit is said with the letter and both shapes.
  for (std::string subscript : {"ij,jk->ik", "ij,jk->iz"}) {
    try {
      std::cout << Einsum(subscript)(m, ones({3, 2})) << '\n';
    } catch (const Error& error) {
      std::cout << error.what() << '\n';
    }
  }
}
