// Einsum's strings, read by the compiler or at run time. (What it computes is tested by the op table.)
#include <numeric>
#include "catch.hpp"
#include "op_table.hpp"
#include "refusal.hpp"

using tricycle::Einsum;

namespace {

/// Does the compiler take this string?
template <tricycle::FixedString subscript>
concept Compiles = requires { typename std::bool_constant<(tricycle::Einsum(subscript), true)>; };

static_assert(Compiles<"ij,jk->ik"> && Compiles<"ij,jk"> && Compiles<"->"> && Compiles<""> && Compiles<"...i,io->...o">);
static_assert(!Compiles<"ij,jk->il"> && !Compiles<"ii->i"> && !Compiles<"ij->ii"> && !Compiles<"a,b,c->abc">);
static_assert(!Compiles<"i1->i"> && !Compiles<"ij>ji"> && !Compiles<"ij->j->i"> && !Compiles<"..i->i"> && !Compiles<"...i->i">);

}  // namespace

TEST_CASE("a string means the same at run time", "[einsum]") {
  for (const Product& product : products()) {
    const std::string text(product.einsum.subscript());
    const Einsum read(text);
    CHECK(read.subscript() == text);
    CHECK(read.name() == product.einsum.name());
    for (const auto& shapes : cases(product.shapes)) {
      std::vector<Tensor<float>> in;
      for (const Shape& shape : shapes) {
        in.emplace_back(shape);
        std::iota(in.back().mutable_data(), in.back().mutable_data() + in.back().size(), -1.0f);
      }
      auto run = [&](const Einsum& e) { return in.size() == 1 ? e(in[0]) : e(in[0], in[1]); };
      CHECK(run(read).shape() == run(product.einsum).shape());
      CHECK(run(read).to_vector() == run(product.einsum).to_vector());
    }
  }
}

TEST_CASE("strings without sense are refused in words", "[einsum]") {
  const std::pair<const char*, const char*> bad[] = {
      {"ij,jk->il", "index l of the result is in no operand"},
      {"ii->i", "index i appears twice"},
      {"ij->jj", "index j appears twice"},
      {"a,b,c->abc", "more than two operands"},
      {"i,j->i,j", "',' behind '->'"},
      {"i1->i", "'1' is not a letter"},
      {"ij>ji", "'>' is not a letter"},
      {"ij-ji", "'-' is not the one '->'"},
      {"ij->j->i", "'-' is not the one '->'"},
      {"ij-", "'-' is not the one '->'"},
      {"..i->i", "'.' is not the operand's one '...'"},
      {"...i...->i", "'.' is not the operand's one '...'"},
      {"...i->i", "'...' is missing from the result"},
      {"i->...i", "index ... of the result is in no operand"},
      {"abcdefghi->a", "more than 8 indices"},
      {"                                                                                                    i->i", "characters"},
  };
  for (auto [text, words] : bad) {
    const std::string said = refusal([text = text] { Einsum{text}; });
    INFO(text << ": " << said);
    CHECK(said.find(words) != std::string::npos);
    CHECK(said.find("einsum") == 0);
  }
}
