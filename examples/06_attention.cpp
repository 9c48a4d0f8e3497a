// Attention, from its parts: every token mixes the values of those before it, by how well their keys match what it asks for.
#include <cmath>
#include <iostream>
#include <limits>
#include <tricycle/tricycle.hpp>
using namespace tricycle;

int main() {
  // Four tokens, each with two heads of three numbers: (batch, tokens, heads, head size).
  seed(42);
  auto queries = uniform({1, 4, 2, 3}, -1, 1), keys = uniform({1, 4, 2, 3}, -1, 1), values = uniform({1, 4, 2, 3}, -1, 1);

  // How well does each query match each key? All pairs of tokens, for each batch and head, in one product.
  auto scores = einsum<"bqnh,bknh->bnqk">(queries, keys) / std::sqrt(3.0);
  std::cout << scores.shape() << '\n';

  // No token sees what comes after it. Its score becomes -∞, of which softmax makes a share of 0.
  auto place = arange(0, 4);
  auto ahead = place.reshape({4, 1}) < place;                 // a column and a row: broadcast to (4, 4)
  std::cout << ahead << '\n';
  auto weights = softmax(masked_fill(scores, ahead, -std::numeric_limits<double>::infinity()));
  auto mixed = einsum<"bnqk,bknh->bqnh">(weights, values);

  // The library's op does the same. On a GPU it never holds the weights, of which long texts would have too many.
  auto attended = attention(queries, keys, values);
  std::cout << attended.shape() << ' ' << std::boolalpha << close_to(mixed, attended, 1e-4, 1e-6) << '\n';

  // The layer makes queries, keys and values of its input by one Dense, and mixes what the heads have found by another.
  MultiHeadSelfAttention layer({.embedding_dim = 32, .n_heads = 2, .context_window = 32});
  auto input = ones({4, 32, 32});
  auto output = layer(input);
  output.backward();
  std::cout << layer.display() << output.shape() << ' ' << input.grad().shape() << '\n';
}
