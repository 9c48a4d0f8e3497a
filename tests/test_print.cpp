// Tensors print as NumPy prints arrays: golden/print.txt holds what NumPy printed.
#include <bit>
#include <fstream>
#include <iomanip>
#include <sstream>
#include "catch.hpp"
#include "tricycle/tensor/print.hpp"

using tricycle::Index;
using tricycle::Shape;
using tricycle::Tensor;
using tricycle::to_string;

namespace {

template <class T>
Tensor<T> tensor_of(const Shape& shape, const std::vector<T>& numbers) {
  REQUIRE(shape.size() == static_cast<Index>(numbers.size()));
  Tensor<T> t(shape);
  std::copy(numbers.begin(), numbers.end(), t.mutable_data());
  return t;
}

/// The tensor of a line of the golden file, whose numbers are written as the bits of a T.
template <class T, class Bits>
std::string printed(const Shape& shape, std::istream& numbers) {
  Tensor<T> t(shape);
  T* to = t.mutable_data();
  for (std::string word; numbers >> word;) {
    std::size_t end = 0, times = 1;
    auto bits = static_cast<Bits>(std::stoull(word, &end, 16));
    if (end < word.size()) times = std::stoull(word.substr(end + 1));
    REQUIRE(to + times <= t.data() + t.size());
    to = std::fill_n(to, times, std::bit_cast<T>(bits));
  }
  REQUIRE(to == t.data() + t.size());
  return to_string(t);
}

std::string printed(const std::string& line) {
  std::istringstream words(line);
  std::string type, extents;
  words >> type >> extents;
  Shape shape;
  std::istringstream list(extents.substr(1, extents.size() - 2));
  for (std::string extent; std::getline(list, extent, ',');) shape.push_back(std::stoll(extent));
  if (type == "f4") return printed<float, std::uint32_t>(shape, words);
  if (type == "f8") return printed<double, std::uint64_t>(shape, words);
  if (type == "i1") return printed<std::int8_t, std::uint8_t>(shape, words);
  if (type == "i4") return printed<std::int32_t, std::uint32_t>(shape, words);
  if (type == "i8") return printed<std::int64_t, std::uint64_t>(shape, words);
  REQUIRE(type == "b1");
  return printed<bool, std::uint8_t>(shape, words);
}

}  // namespace

TEST_CASE("print: as NumPy", "[print]") {
  std::ifstream file(TRICYCLE_GOLDEN "/print.txt");
  std::string line, numbers, expected;
  int n_cases = 0;
  auto compare = [&] {
    if (numbers.empty()) return;
    CAPTURE(numbers);
    REQUIRE(printed(numbers) == expected);
    ++n_cases;
  };
  while (std::getline(file, line)) {
    if (line.starts_with('|')) {
      expected += (expected.empty() ? "" : "\n") + line.substr(1);
      continue;
    }
    compare();
    numbers = line;
    expected.clear();
  }
  compare();
  REQUIRE(n_cases >= 200);
}

TEST_CASE("print: the name of what made it comes last", "[print]") {
  auto x = tensor_of<float>({3}, {1, 2, 3});
  REQUIRE(to_string(x.require_grad()) == "Tensor([1. 2. 3.])");
  auto named = [&](const char* name, const Tensor<float>& y) {
    return to_string(tricycle::record(name, y, {{x, [](const Tensor<float>& grad) { return grad; }}}));
  };
  REQUIRE(named("badd", tensor_of<float>({3}, {5, 7, 9})) == "Tensor([5. 7. 9.], name=badd)");
  REQUIRE(named("+ 4", tensor_of<float>({}, {14})) == "Tensor(14.0, name=+ 4)");
  REQUIRE(named("softmax", tensor_of<float>({3}, {.09003057f, .24472848f, .66524094f})) ==
          "Tensor([0.09003057 0.24472848 0.66524094], name=softmax)");
  REQUIRE(named("einsum ij->ji", tensor_of<float>({2, 2}, {1, 3, 2, 4})) == "Tensor([[1. 3.]\n        [2. 4.]], name=einsum ij->ji)");
}

TEST_CASE("print: a number of 16 bits is shown as the float that it stands for, int8 as a number, and a stream's flags do not matter", "[print]") {
  REQUIRE(to_string(tensor_of<tricycle::bf16>({3}, {1.f, .5f, -.1f})) == "Tensor([ 1.          0.5        -0.10009766])");
  REQUIRE(to_string(tensor_of<tricycle::bf16>({}, {3.f})) == "Tensor(3.0)");
  REQUIRE(to_string(tensor_of<tricycle::half>({3}, {1.f, .5f, -.1f})) == "Tensor([ 1.          0.5        -0.09997559])");
  REQUIRE(to_string(tensor_of<tricycle::half>({}, {1e5f})) == "Tensor(inf)");
  REQUIRE(to_string(tensor_of<std::uint8_t>({2}, {65, 200})) == "Tensor([ 65 200])");
  REQUIRE(to_string(tensor_of<std::uint64_t>({}, {~std::uint64_t{0}})) == "Tensor(18446744073709551615)");

  std::ostringstream out;
  out << std::hex << std::showpos << std::setprecision(2) << std::fixed << tensor_of<double>({2}, {1.2345, 31}) << tensor_of<int>({1}, {31});
  REQUIRE(out.str() == "Tensor([ 1.2345 31.    ])Tensor([31])");
}

TEST_CASE("print: a view shows its own numbers", "[print]") {
  auto t = tensor_of<int>({2, 3}, {1, 2, 3, 4, 5, 6});
  REQUIRE(to_string(t.view({3}, 3)) == "Tensor([4 5 6])");
}
