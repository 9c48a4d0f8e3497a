// Rows of the op table: einsum, and dense layers.
#pragma once
#include <map>
#include "row.hpp"
#include "tricycle/op/dense.hpp"
#include "tricycle/op/einsum.hpp"

/// An einsum, read by the compiler, and shapes that it is called with; in double four more are drawn.
struct Product {
  tricycle::Einsum einsum;
  const char* shapes;
};

inline std::vector<Product> products() {
  using tricycle::einsum;
  return {
      // ------------------------------------------------ of one tensor
      {einsum<"->">, "[]"},
      {einsum<"i">, "[0] | [1] | [5]"},
      {einsum<"i->">, "[0] | [1] | [37] | [130000]"},
      {einsum<"ij->ji">, "[0 3] | [1 1] | [1 5] | [3 4] | [37 17] | [300 401]"},
      {einsum<"ba">, "[0 3] | [3 4]"},
      {einsum<"ij->i">, "[3 0] | [0 3] | [3 4] | [300 401]"},
      {einsum<"ij->j">, "[3 0] | [0 3] | [3 4] | [300 401]"},
      {einsum<"ijk->kij">, "[2 3 4] | [1 3 1] | [0 3 2] | [50 40 60]"},
      {einsum<"ijk->ki">, "[2 3 4] | [2 0 4] | [1 3 1] | [50 40 60]"},
      {einsum<"ijk->j">, "[2 3 4] | [2 0 4] | [0 3 4] | [50 40 60]"},
      {einsum<"abcd->db">, "[2 3 4 5] | [2 1 4 1]"},
      {einsum<"abcdefgh->hgfedcba">, "[2 1 3 2 1 2 2 1]"},
      {einsum<"...ij->...ji">, "[3 4] | [2 3 4] | [2 0 3 4]"},
      {einsum<"i...->...i">, "[3] | [3 4] | [2 3 4]"},
      {einsum<"...">, "[] | [3] | [2 3]"},
      {einsum<"...i->...">, "[3] | [2 3] | [2 3 0]"},

      // ------------------------------------------------ vectors and numbers
      {einsum<",->">, "[] []"},
      {einsum<",ij->ji">, "[] [3 4] | [] [0 4]"},
      {einsum<"ij,->ij">, "[3 4] [] | [1 1] []"},
      {einsum<"i,i->">, "[0] [0] | [1] [1] | [37] [37] | [130000] [130000]"},
      {einsum<"i,i->i">, "[0] [0] | [1] [1] | [37] [37] | [130000] [130000]"},
      {einsum<"i,j->ij">, "[3] [4] | [1] [1] | [0] [3] | [3] [0] | [300] [401]"},
      {einsum<"i,j->ji">, "[3] [4] | [1] [7] | [0] [3]"},
      {einsum<"i,j->">, "[3] [4] | [0] [3]"},

      // ------------------------------------------------ matrices
      {einsum<"ij,jk->ik">, "[2 3] [3 4] | [1 1] [1 1] | [0 3] [3 4] | [2 0] [0 4] | [2 3] [3 0] | [1 37] [37 1] | [33 17] [17 19] | [300 70] [70 401]"},
      {einsum<"ij,kj->ik">, "[2 3] [4 3] | [2 0] [4 0] | [1 3] [4 3] | [33 17] [19 17] | [300 70] [401 70]"},
      {einsum<"ji,jk->ik">, "[3 2] [3 4] | [0 2] [0 4] | [17 33] [17 19] | [3000 40] [3000 41]"},
      {einsum<"ji,kj->ki">, "[3 2] [4 3] | [3 0] [4 3] | [17 33] [19 17]"},
      {einsum<"ij,jk">, "[2 3] [3 4] | [1 3] [3 1]"},
      {einsum<" ij , jk -> ik ">, "[2 3] [3 4]"},
      {einsum<"ba,ca">, "[2 3] [4 3]"},
      {einsum<"Xa,aY->YX">, "[2 3] [3 4]"},
      {einsum<"ij,j->i">, "[3 4] [4] | [3 0] [0] | [0 4] [4] | [300 401] [401]"},
      {einsum<"i,ij->j">, "[3] [3 4] | [0] [0 4] | [300] [300 401]"},
      {einsum<"ij,ij->">, "[3 4] [3 4] | [0 4] [0 4] | [300 401] [300 401]"},
      {einsum<"ij,ij->ij">, "[3 4] [3 4] | [1 4] [1 4] | [0 4] [0 4]"},
      {einsum<"ij,ij->ji">, "[3 4] [3 4] | [300 401] [300 401]"},
      {einsum<"ij,ji->ij">, "[3 4] [4 3] | [3 0] [0 3]"},
      {einsum<"ij,ji->">, "[3 4] [4 3] | [3 0] [0 3]"},
      {einsum<"ij,ij->i">, "[3 4] [3 4] | [3 0] [3 0] | [300 401] [300 401]"},
      {einsum<"ij,ij->j">, "[3 4] [3 4] | [0 4] [0 4] | [300 401] [300 401]"},
      {einsum<"ab,bc->a">, "[2 3] [3 4] | [2 3] [3 0]"},
      {einsum<"ab,c->">, "[2 3] [4] | [2 3] [0]"},
      {einsum<"ab,cd->dcba">, "[2 3] [4 5] | [2 0] [4 5]"},

      // ------------------------------------------------ more axes
      {einsum<"bij,bjk->bik">, "[2 3 4] [2 4 5] | [1 3 4] [1 4 5] | [0 3 4] [0 4 5] | [2 3 0] [2 0 5] | [4 100 30] [4 30 301]"},
      {einsum<"bij,bkj->bik">, "[2 3 4] [2 5 4] | [2 0 4] [2 5 4]"},
      {einsum<"bij,bjk->ikb">, "[2 3 4] [2 4 5] | [2 1 4] [2 4 5]"},
      {einsum<"bij,jk->bik">, "[2 3 4] [4 5] | [2 3 1] [1 5] | [0 3 4] [4 5] | [20 60 30] [30 101]"},
      {einsum<"ij,bjk->bik">, "[3 4] [2 4 5] | [3 4] [2 4 0]"},
      {einsum<"bqnh,bknh->bnqk">, "[2 3 4 5] [2 6 4 5] | [1 3 1 5] [1 6 1 5] | [2 0 4 5] [2 6 4 5] | [2 64 8 16] [2 128 8 16]"},
      {einsum<"bnqk,bknh->bqnh">, "[2 4 3 6] [2 6 4 5] | [2 1 3 1] [2 1 1 5] | [2 4 3 0] [2 0 4 5]"},
      {einsum<"abc,abd->abcd">, "[2 3 4] [2 3 5] | [2 1 4] [2 1 5]"},
      {einsum<"abcd,efcd->abef">, "[2 3 4 5] [3 2 4 5] | [2 3 1 5] [3 2 1 5]"},
      {einsum<"abcd,dcef->feba">, "[2 3 4 5] [5 4 2 3] | [2 3 4 1] [1 4 2 3]"},
      {einsum<"abcd,cbea->de">, "[2 3 4 5] [4 3 6 2] | [2 3 4 5] [4 3 0 2]"},
      {einsum<"abc,cbe->e">, "[2 3 4] [4 3 5] | [0 3 4] [4 3 5]"},
      {einsum<"aebfcd,cafd->bfea">, "[2 3 2 3 2 3] [2 2 3 3]"},

      // ------------------------------------------------ any number of axes
      {einsum<"...i,io->...o">, "[3] [3 4] | [2 3] [3 4] | [5 2 3] [3 4] | [5 0 3] [3 4] | [40 60 30] [30 101]"},
      {einsum<"...ij,...jk->...ik">, "[2 3] [3 4] | [5 2 3] [5 3 4] | [6 5 2 3] [5 3 4] | [2 3] [5 3 4]"},
      {einsum<"...ij,jk">, "[2 3] [3 4] | [5 2 3] [3 4]"},
      {einsum<"i...,i->...">, "[3] [3] | [3 4] [3] | [3 4 5] [3]"},
      {einsum<"i...,j...->ij...">, "[2] [3] | [2 4] [3 4] | [2 4 5] [3 5]"},
      {einsum<"...,...">, "[] [] | [3] [3] | [2 3] [3] | [] [2 3] | [2 1] [1 3] | [2 1 4] [3 1]"},
      {einsum<"ij...,ij->ij">, "[2 3] [2 3]"},
      {einsum<"i->...i">, "[3]"},
      {einsum<"i...,...j->j...i">, "[2] [3] | [2 4] [4 3] | [2 1 5] [4 1 3]"},

      // ------------------------------------------------ diagonals and traces
      {einsum<"ii">, "[0 0] | [1 1] | [4 4] | [37 37]"},
      {einsum<"ii->i">, "[0 0] | [1 1] | [4 4] | [37 37]"},
      {einsum<"iii->i">, "[3 3 3]"},
      {einsum<"iij->ji">, "[3 3 4] | [3 3 0]"},
      {einsum<"iji->j">, "[3 4 3] | [0 4 0]"},
      {einsum<"bii->b">, "[2 3 3] | [0 3 3] | [2 0 0]"},
      {einsum<"ijij">, "[2 3 2 3]"},
      {einsum<"ijji->ij">, "[2 3 3 2]"},
      {einsum<"ii...->...i">, "[3 3] | [3 3 2]"},
      {einsum<"i...i">, "[3 3] | [3 2 3]"},
      {einsum<"ii,i->i">, "[3 3] [3] | [1 1] [3] | [0 0] [0]"},
      {einsum<"ii,jj->ij">, "[3 3] [4 4]"},
      {einsum<"ii,jj">, "[3 3] [4 4]"},
      {einsum<"ii,ij->j">, "[3 3] [3 4]"},
      {einsum<"iij,jk->ik">, "[3 3 4] [4 2]"},
      {einsum<"ij,jj->i">, "[3 4] [4 4]"},
      {einsum<"ii,ii->i">, "[3 3] [3 3] | [37 37] [37 37]"},
      {einsum<"bii,bij->bj">, "[2 3 3] [2 3 4]"},

      // ------------------------------------------------ extents of 1 that stretch
      {einsum<"ij,ij->ij">, "[1 4] [3 1] | [1 1] [3 4] | [3 4] [1 4] | [1 0] [3 1]"},
      {einsum<"ij,jk->ik">, "[2 1] [3 4] | [2 3] [1 4] | [2 1] [0 4]"},
      {einsum<"ij,ij->">, "[3 1] [3 4] | [1 1] [0 4]"},
      {einsum<"bij,bjk->bik">, "[1 3 4] [2 4 5] | [2 3 4] [1 4 5] | [2 3 1] [1 4 5]"},
      {einsum<"...i,...i->...">, "[2 1 3] [4 3] | [4 1] [2 1 3]"},
      {einsum<"ii,i->i">, "[3 3] [1]"},

      // ------------------------------------------------ what is summed without making a matrix
      {einsum<"bij,bij->b">, "[2 3 4] [2 3 4] | [30 20 21] [30 20 21]"},
      {einsum<"bij,bij->bj">, "[2 3 4] [2 3 4] | [3 70 41] [3 70 41]"},
      {einsum<"bij,bij->ji">, "[2 3 4] [2 3 4]"},
      {einsum<"bij,bji->b">, "[2 3 4] [2 4 3]"},
      {einsum<"abcd,acbd->bd">, "[2 3 4 5] [2 4 3 5]"},
      {einsum<"iabc,cbai->i">, "[2 3 4 5] [5 4 3 2]"},

      // ------------------------------------------------ many axes, in orders that one product cannot have
      {einsum<"abcd,badc->">, "[2 3 2 3] [3 2 3 2]"},
      {einsum<"acbd,cxdy->axby">, "[2 3 4 2] [3 5 2 2]"},
      {einsum<"aibjck,xkyjzi->xaybzc">, "[2 3 2 4 2 2] [2 2 1 4 3 3]"},
      {einsum<"abcdefg,gfedcbah->h">, "[2 2 1 3 2 2 2] [2 2 2 3 1 2 2 3]"},
      {einsum<"abcdefgh,hgfedcba->hbgdcfea">, "[2 1 2 1 2 1 2 2] [2 2 1 2 1 2 1 2]"},

      // ------------------------------------------------ three operands and more
      {einsum<",,->">, "[] [] []"},
      {einsum<"i,i,i->">, "[5] [5] [5] | [0] [0] [0] | [1] [3] [3]"},
      {einsum<"i,i,i->i">, "[5] [5] [5]"},
      {einsum<"i,j,k->kji">, "[2] [3] [4]"},
      {einsum<"ij,jk,kl->il">, "[2 3] [3 4] [4 5] | [2 0] [0 4] [4 5] | [20 3] [3 40] [40 5] | [1 3] [3 1] [1 5]"},
      {einsum<"ij,jk,kl">, "[2 3] [3 4] [4 2]"},
      {einsum<"bi,oij,bj->bo">, "[2 3] [5 3 4] [2 4] | [7 5] [6 5 4] [7 4]"},
      {einsum<"i,ij,j">, "[2] [2 5] [5]"},
      {einsum<"ijk,jr,kr->ir">, "[3 4 5] [4 2] [5 2]"},
      {einsum<"abc,ai,bj,ck->ijk">, "[2 3 4] [2 3] [3 2] [4 3]"},
      {einsum<"ij,ji,ii->">, "[3 4] [4 3] [3 3]"},
      {einsum<"...i,...i,ij->...j">, "[3] [3] [3 4] | [2 1 3] [5 3] [3 4]"},
      {einsum<"ia,ia,ja,jb->ib">, "[3 4] [1 4] [5 4] [5 2]"},
      {einsum<"ab,cd,ef->">, "[2 3] [3 2] [2 2]"},
      {einsum<"ab,ab,ab,ab,ab->b">, "[2 3] [2 3] [1 3] [2 1] [2 3]"},
      {einsum<"ab,ab,b,ab,a,ab,ab,,ab->ba">, "[2 3] [2 3] [3] [2 3] [2] [1 3] [2 1] [] [2 3]"},
  };
}

/// Shapes that fit a subscript: an extent for each letter, small ones where an operand has many, and up to two axes for '...'.
inline std::vector<Shape> drawn_shapes(std::string_view subscript, std::mt19937_64& random) {
  const std::string_view operands = subscript.substr(0, subscript.find("->"));
  std::size_t longest = 0, length = 0;
  for (char c : operands) length = c == ',' ? 0 : length + 1, longest = std::max(longest, length);
  auto extent = [&, most = longest > 4 ? 2u : longest > 3 ? 3u : 6u] { return static_cast<Index>(1 + random() % most); };

  std::map<char, Index> extents;
  Shape dots;
  const bool may_have_dots = operands.size() == subscript.size() || subscript.find('.', operands.size()) != subscript.npos;
  for (auto n = may_have_dots ? random() % 3 : 0; n > 0; --n) dots.push_back(extent());
  std::vector<Shape> shapes(1);
  for (std::size_t i = 0; i < operands.size(); ++i) {
    const char c = operands[i];
    if (c == ',') shapes.emplace_back();
    else if (c == '.') shapes.back() = shapes.back().followed_by(dots), i += 2;
    else if (c != ' ') shapes.back().push_back(extents.try_emplace(c, extent()).first->second);
  }
  return shapes;
}

template <class T>
Rows<T> dense_rows() {
  using namespace usual_shapes;
  using namespace domains;
  auto row = [](auto&&... cells) { return make_row<T>(cells...); };
  const auto gelu = reference::each([](Real x) { return x / 2 * (1 + std::tanh(std::sqrt(2 / std::acos(Real(-1))) * (x + Real(0.044715L) * x * x * x))); });
  const auto dense_with_bias = [](const Operands& in) {
    return reference::each([](Real y, Real b) { return y + b; })({reference::einsum("...i,io->...o")({in[0], in[1]}), in[2]});
  };
  return {
      row("dense", "[3] [3 4] | [1 1] [1 1] | [2 3] [3 4] | [2 5 33] [33 17] | [0 3] [3 4] | [2 0] [0 4] | [31 64] [64 40]", numbers,
          [](auto& x, auto& w) { return tc::dense(x, w); }, reference::einsum("...i,io->...o")),
      row("dense: with a bias", "[3] [3 4] [4] | [1 1] [1 1] [1] | [2 3] [3 4] [4] | [2 5 33] [33 17] [17] | [0 3] [3 4] [4] | [2 0] [0 4] [4] | [31 64] [64 40] [40]", numbers,
          [](auto& x, auto& w, auto& b) { return tc::dense(x, w, &b); }, dense_with_bias),
      row("mlp", "[3] [3 5] [5 4] | [2 3] [3 8] [8 3] | [2 5 17] [17 33] [33 9] | [0 3] [3 4] [4 2] | [1 1] [1 1] [1 1] | [2 2 5] [5 9] [9 3] | [31 16] [16 64] [64 16]", small,
          [](auto& x, auto& w_1, auto& w_2) { return tc::mlp<T>(x, w_1, nullptr, w_2, nullptr); },
          [=](auto& in) { return reference::einsum("...i,io->...o")({gelu({reference::einsum("...i,io->...o")({in[0], in[1]})}), in[2]}); }),
      row("mlp: with biases", "[3] [3 5] [5] [5 4] [4] | [2 3] [3 8] [8] [8 3] [3] | [2 5 17] [17 33] [33] [33 9] [9] | [0 3] [3 4] [4] [4 2] [2] | [1 1] [1 1] [1] [1 1] [1] | [2 2 5] [5 9] [9] [9 3] [3] | [31 16] [16 64] [64] [64 16] [16]", small,
          [](auto& x, auto& w_1, auto& b_1, auto& w_2, auto& b_2) { return tc::mlp(x, w_1, &b_1, w_2, &b_2); },
          [=](auto& in) { return dense_with_bias({gelu({dense_with_bias({in[0], in[1], in[2]})}), in[3], in[4]}); }),
  };
}

template <class T>
Rows<T> einsum_rows() {
  auto row = [](auto&&... cells) { return make_row<T>(cells...); };
  Rows<T> all{row("einsum: of a tensor", "[2 3] [3 4] | [1 1] [1 1] | [2 0] [0 4] | [0 3] [3 4] | [5 1] [1 7] | [33 17] [17 19]", domains::small, [](auto& a, auto& b) { return a.template einsum<"ij,jk->ik">(b); }, reference::einsum("ij,jk->ik"))};
  [[maybe_unused]] std::mt19937_64 random(20240229);
  for (const Product& product : products()) {
    const std::string subscript(product.einsum.subscript());
    all.push_back(row("Einsum: " + subscript, product.shapes, domains::small, [e = product.einsum](const std::vector<Tensor<T>>& in) { return e(in); }, reference::einsum(subscript)));
    if constexpr (std::same_as<T, double>)               // of what cancels, fewer digits leave too little to hold against anything
      for (int i = 0; i < 4; ++i) all.back().cases.push_back(drawn_shapes(subscript, random));
  }
  return all;
}
