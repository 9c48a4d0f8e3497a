// The order in which einsum contracts many operands, and what well-known einsums copy on the way to their product.
#include <limits>
#include <numeric>
#include <random>
#include "catch.hpp"
#include "op_checks.hpp"
#include "tricycle/op/einsum.hpp"
#include "tricycle/tensor/create.hpp"

namespace {

using tricycle::detail::LabelSet;
using tricycle::detail::Step;

/// Operands by their letters, an extent for each letter, and what an order costs.
struct Network {
  std::vector<LabelSet> in;
  LabelSet out;
  tricycle::detail::Extents extents{};

  Network(const std::vector<std::string>& terms, const std::string& result) : out(set_of(result)) {
    for (const std::string& term : terms) in.push_back(set_of(term));
    extents.fill(1);
  }
  static LabelSet set_of(const std::string& letters) {
    LabelSet all = 0;
    for (char c : letters) all |= tricycle::detail::set_of(c);
    return all;
  }

  double cost(const std::vector<Step>& steps) const {
    std::vector<LabelSet> made = in;
    std::vector<bool> used(in.size() + steps.size());
    double total = 0;
    auto left = [&](std::size_t i, std::size_t j) {      // the labels that others still need
      LabelSet needed = out;
      for (std::size_t k = 0; k < made.size(); ++k)
        if (!used[k] && k != i && k != j) needed |= made[k];
      return needed;
    };
    for (std::size_t i = 0; i < in.size(); ++i) made[i] &= left(i, i);
    for (const Step& step : steps) {
      const auto a = static_cast<std::size_t>(step.a), b = static_cast<std::size_t>(step.b);
      REQUIRE((a != b && !used[a] && !used[b]));
      const LabelSet result = (made[a] | made[b]) & left(a, b);
      total += tricycle::detail::step_cost(made[a], made[b], result, extents);
      used[a] = used[b] = true;
      made.push_back(result);
    }
    REQUIRE(steps.size() + 1 == in.size());
    return total;
  }

  /// The least that any order costs: all are tried.
  double least() const {
    double best = std::numeric_limits<double>::infinity();
    std::vector<int> left(in.size());
    std::iota(left.begin(), left.end(), 0);
    std::vector<Step> steps;
    try_all(left, steps, best);
    return best;
  }

 private:
  void try_all(const std::vector<int>& left, std::vector<Step>& steps, double& best) const {
    if (left.size() == 1) best = std::min(best, cost(steps));
    for (std::size_t i = 0; i < left.size(); ++i)
      for (std::size_t j = i + 1; j < left.size(); ++j) {
        std::vector<int> rest;
        for (std::size_t k = 0; k < left.size(); ++k)
          if (k != i && k != j) rest.push_back(left[k]);
        rest.push_back(static_cast<int>(in.size() + steps.size()));
        steps.push_back({left[i], left[j]});
        try_all(rest, steps, best);
        steps.pop_back();
      }
  }
};

}  // namespace

TEST_CASE("few operands are contracted in the cheapest of all orders", "[einsum]") {
  std::mt19937_64 random(7);
  for (int i = 0; i < 60; ++i) {
    std::vector<std::string> terms(2 + random() % 4);
    std::string result;
    for (std::string& term : terms)
      for (char c : std::string("abcdef"))
        if (random() % 5 < 2) term += c;
    for (char c : std::string("abcdef"))
      if (random() % 4 == 0) result += c;
    Network network(terms, result);
    for (Index& n : network.extents) n = 1 + static_cast<Index>(random() % 30);
    CHECK(network.cost(tricycle::detail::cheapest_order(network.in, network.out, network.extents)) == Approx(network.least()));
    CHECK(network.cost(tricycle::detail::greedy_order(network.in, network.out, network.extents)) >= network.least() * (1 - 1e-12));
  }
}

TEST_CASE("many operands are contracted in a good order", "[einsum]") {
  std::vector<std::string> terms;                        // a vector behind matrices: from the left, each product would be one of matrices
  for (char c = 'a'; c < 'p'; ++c) terms.push_back({c, static_cast<char>(c + 1)});
  terms.push_back("p");
  Network chain(terms, "a");
  chain.extents.fill(50);
  CHECK(chain.cost(tricycle::detail::greedy_order(chain.in, chain.out, chain.extents)) < 16 * 50 * 50 * 18);

  const std::vector<LabelSet> two(chain.in.end() - 2, chain.in.end());
  CHECK(tricycle::detail::contraction_order(two, Network::set_of("o"), chain.extents) == std::vector<Step>{{0, 1}});
}

TEST_CASE("the order of contraction shows in the graph", "[einsum]") {
  const Tensor<float> v = tricycle::ones({50});
  auto m = tricycle::ones({50, 50});
  m.require_grad();
  const auto y = tricycle::einsum<"ij,jk,k->i">(m, m, v);
  CHECK(y.name() == "einsum ij,jk,k->i");
  REQUIRE(y.args().size() == 2);
  CHECK((y.args()[0]->name == "einsum jk,k->j" || y.args()[1]->name == "einsum jk,k->j"));
}

TEST_CASE("well-known einsums reach the product without a copy", "[einsum]") {
  struct Case { const char *text, *shapes; int forward, backward; };
  const Case all[] = {
      // ---------------------------------------- matrices, on either side as they are or transposed
      {"ij,jk->ik", "[64 48] [48 80]", 0, 0},
      {"ji,jk->ik", "[48 64] [48 80]", 0, 0},
      {"ij,kj->ik", "[64 48] [80 48]", 0, 0},
      {"ji,kj->ik", "[48 64] [80 48]", 0, 0},
      {"ij,jk->ki", "[64 48] [48 80]", 0, 0},
      {"ij,j->i", "[64 48] [48]", 0, 0},
      {"i,ij->j", "[64] [64 48]", 0, 0},
      {"i,j->ij", "[64] [48]", 0, 0},
      {"ij,jk,kl->il", "[32 24] [24 40] [40 20]", 0, 0},
      // ---------------------------------------- sums of products side by side, and traces
      {"i,i->", "[640] [640]", 0, 0},
      {"ij,ij->", "[64 48] [64 48]", 0, 0},
      {"ij,ij->i", "[64 48] [64 48]", 0, 0},
      {"ij,ij->j", "[64 48] [64 48]", 0, 0},
      {"ij,ji->", "[64 48] [48 64]", 0, 0},
      {"ij,ij->ij", "[64 48] [64 48]", 0, 0},
      {"ii->", "[64 64]", 0, 0},
      {"ii->i", "[64 64]", 0, 0},
      // ---------------------------------------- batches of matrices, and layers
      {"bij,bjk->bik", "[8 32 24] [8 24 40]", 0, 0},
      {"bij,bkj->bik", "[8 32 24] [8 40 24]", 0, 0},
      {"bij,jk->bik", "[8 32 24] [24 40]", 0, 0},
      {"ij,bjk->bik", "[32 24] [8 24 40]", 0, 0},
      {"...i,oi->...o", "[4 8 32] [48 32]", 0, 0},
      {"bti,bto->io", "[4 16 32] [4 16 48]", 0, 0},
      {"bchw,oc->bohw", "[2 8 9 9] [16 8]", 0, 0},
      // ---------------------------------------- attention
      {"bqnh,bknh->bnqk", "[2 32 4 16] [2 32 4 16]", 0, 0},
      {"bnqk,bknh->bqnh", "[2 4 32 32] [2 32 4 16]", 0, 0},
      {"btnh,nhe->bte", "[2 32 4 16] [4 16 64]", 0, 0},
      {"bte,enh->btnh", "[2 32 64] [64 4 16]", 0, 0},
      {"bghqd,bgkd->bghqk", "[2 2 4 32 16] [2 2 32 16]", 0, 0},
      // ---------------------------------------- tensors: contraction, bilinear forms, MTTKRP, CP, Tucker
      {"abcd,cdef->abef", "[8 6 5 7] [5 7 4 9]", 0, 0},
      {"bi,oij,bj->bo", "[16 12] [10 12 14] [16 14]", 0, 0},
      {"ijk,jr,kr->ir", "[12 14 16] [14 8] [16 8]", 0, 0},
      {"ir,jr,kr->ijk", "[12 8] [14 8] [16 8]", 0, 0},
      {"abc,ai,bj,ck->ijk", "[12 14 16] [12 5] [14 6] [16 7]", 0, 0},
      // ---------------------------------------- sums over axes that lie in another order in the other operand: no strides will do
      {"abcd,dcef->abef", "[8 6 5 7] [7 5 4 9]", 1, 0},
      {"aebfcd,cafd->bfea", "[2 3 2 3 2 3] [2 2 3 3]", 2, 2},
  };
  for (const auto& [text, shapes, forward, backward] : all) {
    INFO(text);
    std::vector<Tensor<float>> in;
    for (const auto given = cases(shapes)[0]; const Shape& shape : given) in.push_back(tricycle::ones(shape));
    auto copies = [before = tricycle::detail::copies_made()] { return static_cast<int>(tricycle::detail::copies_made() - before); };
    const auto y = tricycle::Einsum(text)(in);
    CHECK(copies() == forward);
    y.backward();
    CHECK(copies() - forward == backward);
  }
}
