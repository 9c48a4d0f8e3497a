// Fuzzes einsum: any string is read or refused, and what is read is called with small tensors: they fit or are refused, and have
// gradients of their shapes. What follows a '|' are the extents.
#include <cstddef>
#include <cstdint>
#include "tricycle/op/einsum.hpp"

namespace {
using namespace tricycle;

/// The bytes of the extents, one after the other; then zeros.
struct Bytes {
  const std::uint8_t* at;
  std::size_t left;
  unsigned next() { return left == 0 ? 0 : (--left, *at++); }
};

/// Extents of 0 to 3, and no more than `most` numbers.
Tensor<float> operand(int rank, Index most, Bytes& bytes) {
  Shape shape;
  for (int i = 0; i < rank; ++i) {
    const Index n = bytes.next() % 4;
    shape.push_back(n * shape.product(0, i) > most ? 1 : n);
  }
  Tensor<float> x(shape);
  for (Index i = 0; i < x.size(); ++i) x.mutable_data()[i] = static_cast<float>(i % 5) - 1;
  return x.require_grad();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size), text = all.substr(0, all.find('|'));
  Bytes bytes{data + text.size(), size - text.size()};
  bytes.next();                                          // the '|'
  try {
    const Einsum e(text);
    if (e.subscript() != text) __builtin_trap();
    const auto operands = std::count(text.begin(), text.end(), ',') + 1;
    const Index most = operands <= 2 ? 200 : operands <= 4 ? 50 : 3;     // what many of them make is not to become large
    std::vector<Tensor<float>> in;
    int rank = 0;
    for (char c : std::string(text.substr(0, text.find("->"))) + ",") {
      if (c == ',') in.push_back(operand((std::min)(rank, Shape::max_rank), most, bytes)), rank = 0;
      else if (c == '.') rank += bytes.next() % 4 == 0;  // 0 to 3 for an ellipsis
      else rank += c != ' ';
    }
    const auto y = e(in), again = e(in);
    if (y.to_vector() != again.to_vector()) __builtin_trap();
    y.backward();
    for (const auto& x : in)
      if (x.grad().shape() != x.shape()) __builtin_trap();
  } catch (const Error& error) {
    if (std::string_view(error.what()).find("einsum \"") != 0 && std::string_view(error.what()).find("einsum: a subscript of more than") != 0) __builtin_trap();
  }
  return 0;
}
