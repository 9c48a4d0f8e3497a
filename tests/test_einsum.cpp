// Einsum's strings, read by the compiler or at run time, and einsums of random strings. (What most of it computes is tested by
// the op table.)
#include <map>
#include <numeric>
#include "catch.hpp"
#include "op_checks.hpp"
#include "op_table/products.hpp"
#include "refusal.hpp"
#include "tricycle/op/einsum.hpp"
#include "tricycle/tensor/create.hpp"

using tricycle::Einsum;
using tricycle::einsum;

namespace {

/// Does the compiler take this string?
template <tricycle::FixedString subscript>
concept Compiles = requires { typename std::bool_constant<(tricycle::Einsum(subscript), true)>; };

static_assert(Compiles<"ij,jk->ik"> && Compiles<"ij,jk"> && Compiles<"->"> && Compiles<""> && Compiles<"...i,io->...o"> && Compiles<"a,b,c->abc">);
static_assert(Compiles<"ii->i"> && Compiles<"ii"> && Compiles<"...i->i"> && Compiles<"i->...i"> && Compiles<",,">);
static_assert(!Compiles<"ij,jk->il"> && !Compiles<"ij->ii"> && !Compiles<"i->ii"> && !Compiles<"i1->i"> && !Compiles<"ij>ji">);
static_assert(!Compiles<"ij->j->i"> && !Compiles<"..i->i"> && !Compiles<"...i...->i"> && !Compiles<"abcdefghi"> && !Compiles<"i,j->i,j">);

template <class T>
Tensor<T> called(const Einsum& e, const std::vector<Tensor<T>>& in) {
  return in.size() == 1 ? e(in[0]) : in.size() == 2 ? e(in[0], in[1]) : in.size() == 3 ? e(in[0], in[1], in[2]) : e(in);
}

}  // namespace

TEST_CASE("a string means the same at run time", "[einsum]") {
  for (const Product& product : products()) {
    const std::string text(product.einsum.subscript());
    const Einsum read(text);
    CHECK(read.subscript() == text);
    CHECK(read.name() == product.einsum.name());
    for (const auto& shapes : cases(product.shapes)) {
      if (numbers_in(shapes) > 10000) continue;
      std::vector<Tensor<float>> in;
      for (const Shape& shape : shapes) {
        in.emplace_back(shape);
        std::iota(in.back().mutable_data(), in.back().mutable_data() + in.back().size(), -1.0f);
      }
      CHECK(called(read, in).shape() == product.einsum(in).shape());
      CHECK(called(read, in).to_vector() == product.einsum(in).to_vector());
    }
  }
}

TEST_CASE("einsum is a member of a tensor, too", "[einsum]") {
  auto x = tricycle::arange(0, 6).reshape({2, 3}), w = tricycle::arange(0, 12).reshape({3, 4});
  CHECK(x.einsum<"ij,jk->ik">(w).to_vector() == einsum<"ij,jk->ik">(x, w).to_vector());
  CHECK(x.einsum<"ij->ji">().to_vector() == einsum<"ij->ji">(x).to_vector());
  CHECK(x.einsum<"ij,jk,lk->il">(w, w).shape() == Shape{2, 3});
}

TEST_CASE("strings without sense are refused in words", "[einsum]") {
  const std::pair<const char*, const char*> bad[] = {
      {"ij,jk->il", "index l of the result is in no operand"},
      {"i,j->k", "index k of the result is in no operand"},
      {"->i", "index i of the result is in no operand"},
      {"ij->jj", "index j appears twice in the result"},
      {"i->ii", "index i appears twice in the result"},
      {"i,j->i,j", "',' behind '->'"},
      {"i1->i", "'1' is not a letter"},
      {"ij>ji", "'>' is not a letter"},
      {"i\tj", "'\t' is not a letter"},
      {"ij-ji", "'-' is not the one '->'"},
      {"i- >i", "'-' is not the one '->'"},
      {"ij->j->i", "'-' is not the one '->'"},
      {"ij-", "'-' is not the one '->'"},
      {"..i->i", "'.' is not the operand's one '...'"},
      {"i.. .", "'.' is not the operand's one '...'"},
      {"......", "'.' is not the operand's one '...'"},
      {"...i...->i", "'.' is not the operand's one '...'"},
      {"abcdefghi->a", "index i is one more than the 8 that a tensor may have"},
      {"abcdefgh,i->abcdefghi", "index i is one more than the 8 that a tensor may have"},
      {"abcd,efghI", "index h is one more than the 8 that a tensor may have"},
      {",,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,", "more than 32 operands"},
  };
  for (auto [text, words] : bad) {
    const std::string said = refusal([text = text] { Einsum{text}; });
    INFO(text << ": " << said);
    CHECK(said.find(words) != std::string::npos);
    CHECK(said.find("einsum \"" + std::string(text) + "\": ") == 0);
  }
  CHECK(refusal([] { Einsum(std::string(400, ' ')); }) == "einsum: a subscript of more than 320 characters");
}

TEST_CASE("operands that do not fit are refused in words", "[einsum]") {
  const std::tuple<const char*, const char*, const char*> bad[] = {
      {"ii->i", "[2 3]", "index i is 2 and 3 in (2, 3)"},
      {"ii", "[1 3]", "index i is 1 and 3 in (1, 3)"},
      {"iji->j", "[2 3 4]", "index i is 2 and 4 in (2, 3, 4)"},
      {"ij,jk->ik", "[2 3] [2 3]", "index j is 3 in (2, 3) but 2 in (2, 3)"},
      {"i,i,i", "[1] [2] [3]", "index i is 2 in (2,) but 3 in (3,)"},
      {"i,i", "[0] [2]", "index i is 0 in (0,) but 2 in (2,)"},
      {"...,...", "[2 3] [3 3]", "index ... is 2 in (2, 3) but 3 in (3, 3)"},
      {"i->", "[]", "operand 1 has 1 indices, but its shape is ()"},
      {"i,->", "[2] [2]", "operand 2 has 0 indices, but its shape is (2,)"},
      {"i...j", "[2]", "operand 1 has 2 or more indices, but its shape is (2,)"},
      {"...i->i", "[2 3]", "'...' is missing from the result, but stands for axes of (2, 3)"},
      {"...i,...j->ij", "[2] [4 3]", "'...' is missing from the result, but stands for axes of (4, 3)"},
      {"...,abcde->...abcde", "[2 2 2 2] [1 1 1 1 1]", "the result has more than 8 axes"},
      {"ij,jk", "[2 3]", "1 tensor for a subscript of 2 operands"},
      {"ij", "[2 3] [2 3]", "2 tensors for a subscript of 1 operand"},
      {"i,j", "", "0 tensors for a subscript of 2 operands"},
  };
  for (auto [text, shapes, words] : bad) {
    std::vector<Tensor<float>> in;
    for (const auto given = cases(shapes)[0]; const Shape& shape : given) in.emplace_back(shape);
    const std::string said = refusal([&, text = text] { Einsum{text}(in); });
    CHECK(said == "einsum \"" + std::string(text) + "\": " + words);
  }
}

namespace {

/// A random einsum that makes sense, with shapes for it: up to five operands, of up to four letters of six each, that may come
/// back within an operand; extents of 0 to 3, where 1 stretches; maybe an ellipsis; maybe no '->'.
struct RandomEinsum {
  std::string text;
  std::vector<Shape> shapes;

  explicit RandomEinsum(std::mt19937_64& random) {
    auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    std::map<char, Index> extent;
    for (char c : std::string("abcXYz")) extent[c] = below(12) == 0 ? 0 : 1 + below(3);
    const std::vector<Index> dots{1 + below(3), 1 + below(3)};
    const int n = 1 + below(5);
    std::string result;
    bool any_dots = false;
    for (int i = 0; i < n; ++i) {
      std::string term;
      std::map<char, Index> own;
      Shape shape;
      const bool dotted = below(4) == 0;
      const int letters = below(5), where = below(letters + 1);
      for (int j = 0; j <= letters; ++j) {
        if (j == where && dotted) {
          const int rank = below(3);
          for (int axis = 2 - rank; axis < 2; ++axis) shape.push_back(below(4) == 0 ? 1 : dots[static_cast<std::size_t>(axis)]);
          term += "...";
        }
        if (j == letters) break;
        const char c = "abcXYz"[below(6)];
        if (own.count(c) == 0) own[c] = below(5) == 0 ? 1 : extent[c];
        shape.push_back(own[c]);
        term.push_back(c);
        if (result.find(c) == std::string::npos && below(2) == 0) result.push_back(c);
      }
      any_dots = any_dots || dotted;
      text += (i == 0 ? "" : ",") + term;
      shapes.push_back(shape);
    }
    if (below(5) == 0) return;
    std::shuffle(result.begin(), result.end(), random);
    if (any_dots) result.insert(static_cast<std::size_t>(below(static_cast<int>(result.size()) + 1)), "...");
    text += "->" + result;
  }
};

/// What einsum says of these numbers, and of their gradients, against loops: of operand i it is the einsum of the others and of
/// the cotangent, at each of its numbers.
template <class T>
void check_by_loops(const std::string& text, const std::vector<Shape>& shapes, Real nearly, tricycle::Device device = tricycle::Device::cpu) {
  const Operands in = drawn<T>(shapes, domains::small);
  auto operands = tensors<T>(in, device);
  for (auto& x : operands) x.require_grad();
  auto y = Einsum(text)(operands);
  const auto loops = reference::einsum(text);
  CHECK(distance(numbers_of(y), loops(in)).worst <= nearly);
  const Numbers cotangent = direction(y.shape(), 7);
  for (int times = 1; times <= 2; ++times) {             // the second time, gradients are added to what is there
    y.backward(tensor<T>(cotangent).to(device), {.retain_graph = true});
    for (std::size_t i = 0; i < in.size(); ++i) {
      if (numbers_in(shapes) > 500) continue;
      Numbers expected = in[i];
      for (std::size_t j = 0; j < expected.at.size(); ++j) {
        Operands one = in;                               // einsum is linear in each operand: its derivative is its value at a unit
        std::fill(one[i].at.begin(), one[i].at.end(), 0);
        one[i].at[j] = 1;
        expected.at[j] = times * dot(cotangent, loops(one));
      }
      INFO("gradient of operand " << i);
      CHECK(distance(numbers_of(operands[i].grad()), expected).worst <= nearly);
    }
  }
}

}  // namespace

TEST_CASE("random einsums are what loops make of them", "[einsum]") {
  std::mt19937_64 random(5);
  for (int i = 0; i < 300; ++i) {
    const RandomEinsum e(random);
    INFO(e.text);
    check_by_loops<double>(e.text, e.shapes, 1e-12L);
    check_by_loops<float>(e.text, e.shapes, 1e-4L);
  }
}

TEST_CASE("chains and rings of many operands are what loops make of them", "[einsum]") {
  check_by_loops<double>("ab,bc,cd,de,ef,fg,gh,hi,ij->aj", cases("[2 2] [2 3] [3 2] [2 2] [2 3] [3 1] [2 2] [2 3] [3 2]")[0], 1e-12L);
  check_by_loops<double>("ab,bc,cd,de,ef,fg,gh,hi,ij,ja", cases("[2 1] [2 3] [3 2] [2 2] [2 1] [3 2] [2 2] [2 2] [2 2] [2 2]")[0], 1e-12L);
}

TEST_CASE("steps of more labels than a tensor has axes", "[einsum]") {
  std::string text;                                      // nine operands, each of which shares a letter with each of the others
  for (int i = 0; i < 9; ++i) {
    text += i == 0 ? "" : ",";
    for (int j = 0; j < 9; ++j)
      if (j != i) text += tricycle::detail::label_of(static_cast<std::size_t>((std::max)(i, j) * ((std::max)(i, j) - 1) / 2 + (std::min)(i, j)));
  }
  std::vector<Tensor<double>> in;
  for (int i = 0; i < 9; ++i) {
    in.push_back(tricycle::full<double>({2, 2, 2, 2, 2, 2, 2, 2}, 0.25));
    in.back().require_grad();
  }
  const auto y = Einsum(text)(in);                       // 2^36 products of 4^-9
  CHECK(y.item() == std::ldexp(1.0, 36 - 18));
  y.backward();
  CHECK(in[4].grad().to_vector() == std::vector<double>(256, std::ldexp(1.0, 28 - 16)));
}
