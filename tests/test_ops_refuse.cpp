// What ops refuse: each in one sentence that names the op and shows the shapes.
#include <functional>
#include "catch.hpp"
#include "refusal.hpp"
#include "tricycle/op/attention.hpp"
#include "tricycle/op/choose.hpp"
#include "tricycle/op/dropout.hpp"
#include "tricycle/op/einsum.hpp"
#include "tricycle/op/elementwise.hpp"
#include "tricycle/op/glu.hpp"
#include "tricycle/op/lookup.hpp"
#include "tricycle/op/loss.hpp"
#include "tricycle/op/norm.hpp"
#include "tricycle/op/reduce_rows.hpp"
#include "tricycle/op/rotary.hpp"
#include "tricycle/op/slice.hpp"
#include "tricycle/tensor/create.hpp"

namespace tc = tricycle;

namespace {

/// What is refused, and words that the sentence must have.
struct Case {
  std::function<void()> attempt;
  std::vector<const char*> words;
};

void check_refusals(const std::vector<Case>& cases) {
  for (const Case& bad : cases) {
    const std::string said = refusal(bad.attempt);
    INFO("it said: " << said);
    CHECK_FALSE(said.empty());
    for (const char* word : bad.words) {
      INFO("without: " << word);
      CHECK(said.find(word) != std::string::npos);
    }
  }
}

}  // namespace

TEST_CASE("ops refuse in words", "[ops]") {
  const auto scalar = tc::ones({}), empty = tc::ones({3, 0}), a = tc::ones({2, 3}), b = tc::ones({4, 3}), c = tc::ones({5});
  const auto ids = tc::to_tensor<int>({0, 2}), wrong = tc::to_tensor<int>({0, 3});
  const auto negative = tc::to_tensor<tc::Index>({-1, 0});

  const auto heads = tc::ones({2, 4, 1, 3}), fewer = tc::ones({2, 3, 1, 3}), other = tc::ones({2, 4, 1, 5});
  check_refusals({
      {[&] { tc::attention(a, heads, heads); }, {"attention", "(2, 3)", "(batch, tokens, heads, head_size)"}},
      {[&] { tc::attention(heads, other, other); }, {"attention", "(2, 4, 1, 5)", "(2, 4, 1, 3)"}},
      {[&] { tc::attention(heads, heads, heads, {.time_first = true}); }, {"attention", "keys", "(2, 4, 1, 3)"}},
      {[&] { tc::attention(fewer, heads, fewer); }, {"attention", "values", "(2, 3, 1, 3)", "(2, 4, 1, 3)"}},
      {[&] { tc::attention(heads, fewer, fewer); }, {"attention", "(2, 4, 1, 3)", "(2, 3, 1, 3)", "see none"}},
      {[&] { tc::attention(heads, heads, heads, {.scale = -1}); }, {"attention", "scale of -1"}},
      {[&] { tc::attention(heads, heads, heads, {.dropout = 1}); }, {"attention", "dropout of 1"}},
      {[&] { tc::attention(tc::ones({2, 4, 8}), 3); }, {"attention", "(2, 4, 8)", "3 heads"}},
      {[&] { tc::attention(tc::ones({2, 4, 9}), 3, {.time_first = true}); }, {"attention", "time first"}},

      {[&] { a + b; }, {"(2, 3)", "(4, 3)", "broadcast"}},
      {[&] { a - c; }, {"(2, 3)", "(5,)", "broadcast"}},
      {[&] { b * a; }, {"(4, 3)", "(2, 3)", "broadcast"}},
      {[&] { a / empty; }, {"(2, 3)", "(3, 0)", "broadcast"}},
      {[&] { return a < b; }, {"<", "(2, 3)", "(4, 3)", "broadcast"}},
      {[&] { return a == c; }, {"==", "(2, 3)", "(5,)", "broadcast"}},

      {[&] { a.reshape({4, 2}); }, {"reshape", "(2, 3)", "(4, 2)"}},
      {[&] { a.reshape({4, -1}); }, {"reshape", "(2, 3)", "-1"}},
      {[&] { a.reshape({-1, -1}); }, {"reshape", "(2, 3)", "-1"}},
      {[&] { empty.reshape({0, -1}); }, {"reshape", "(3, 0)", "-1"}},
      {[&] { a.reshape({-2, -3}); }, {"extent of -2"}},
      {[&] { tc::permute(a, {0}); }, {"permute", "(2, 3)", "1 axes"}},
      {[&] { tc::permute(a, {0, 2}); }, {"axis 2", "(2, 3)"}},
      {[&] { tc::permute(a, {1, -1}); }, {"permute", "axis 1", "(2, 3)", "twice"}},
      {[&] { tc::transpose(c); }, {"transpose", "(5,)"}},
      {[&] { tc::split(a, 2); }, {"split", "(2, 3)", "2"}},
      {[&] { tc::split(a, 0); }, {"split", "(2, 3)", "0"}},
      {[&] { tc::split(a, 1, 2); }, {"axis 2", "(2, 3)"}},
      {[&] { tc::split(scalar, 1); }, {"axis -1", "()"}},
      {[&] { tc::concatenate(a, b, 1); }, {"concatenate", "(2, 3)", "(4, 3)", "axis 1"}},
      {[&] { tc::concatenate(a, c); }, {"concatenate", "(2, 3)", "(5,)"}},
      {[&] { tc::concatenate(scalar, scalar); }, {"axis 0", "()"}},

      {[&] { tc::sum(a, {{2}}); }, {"axis 2", "(2, 3)"}},
      {[&] { tc::sum(a, {{0, -2}}); }, {"sum", "(2, 3)", "twice"}},
      {[&] { tc::mean(a, {{1, 1}}); }, {"mean", "axis 1", "(2, 3)", "twice"}},
      {[&] { tc::max(empty, {{1}}); }, {"max", "(3, 0)"}},
      {[&] { tc::argmax(empty); }, {"argmax", "(3, 0)"}},
      {[&] { tc::min(empty, {{-1}}); }, {"min", "smallest", "(3, 0)"}},
      {[&] { tc::argmin(a, 2); }, {"axis 2", "(2, 3)"}},
      {[&] { tc::argmax(a, {{0, 0}}); }, {"argmax", "axis 0", "(2, 3)", "twice"}},
      {[&] { tc::prod(a, {{1, -1}}); }, {"prod", "(2, 3)", "twice"}},
      {[&] { tc::var(a, {{5}}); }, {"axis 5", "(2, 3)"}},
      {[&] { tc::logsumexp(a, {{-3}}); }, {"axis -3", "(2, 3)"}},
      {[&] { tc::max(a, b); }, {"bmax", "(2, 3)", "(4, 3)", "broadcast"}},
      {[&] { tc::pow(a, b); }, {"bpow", "(2, 3)", "(4, 3)", "broadcast"}},
      {[&] { tc::ReduceMax("ij,jk->ik"); }, {"reduce \"ij,jk->ik\"", "more than one operand"}},
      {[&] { tc::ReduceMax("ijk->ij")(a); }, {"reduce \"ijk->ij\"", "3 indices", "(2, 3)"}},
      {[&] { tc::ReduceMin("ij...k->ij...")(a); }, {"reduce \"ij...k->ij...\"", "3 indices", "(2, 3)"}},
      {[&] { tc::ReduceMin("ii->i")(a); }, {"reduce \"ii->i\"", "twice"}},
      {[&] { tc::ReduceMin("ij->k"); }, {"ij->k", "index k"}},
      {[&] { tc::argmax(scalar); }, {"axis -1", "()"}},

      {[&] { tc::softmax(scalar); }, {"softmax", "()"}},
      {[&] { tc::log_softmax(scalar); }, {"log_softmax", "()"}},
      {[&] { tc::causal_softmax(b); }, {"causal_softmax", "(4, 3)"}},
      {[&] { tc::causal_softmax(c); }, {"causal_softmax", "(5,)"}},
      {[&] { tc::layer_norm(a, c); }, {"layer_norm", "(2, 3)", "(3,)", "(5,)"}},
      {[&] { tc::layer_norm(a, tc::ones({3}), c); }, {"layer_norm", "(2, 3)", "(3,)", "(5,)"}},
      {[&] { tc::layer_norm(scalar, c); }, {"layer_norm", "()"}},
      {[&] { tc::rms_norm(a, c); }, {"rms_norm", "(2, 3)", "(3,)", "(5,)"}},
      {[&] { tc::add_rms_norm(a, b, c); }, {"add_rms_norm", "(2, 3)", "(4, 3)"}},
      {[&] { tc::glu(a); }, {"gated", "(2, 3)", "halves"}},
      {[&] { tc::swiglu(scalar); }, {"gated", "()"}},
      {[&] { tc::rotary_encode(a); }, {"rotary_encode", "(2, 3)", "head_size"}},
      {[&] { tc::rotary_encode(tc::ones({1, 2, 1, 3})); }, {"rotary_encode", "heads of 3 numbers", "(1, 2, 1, 3)"}},
      {[&] { tc::rotary_encode(tc::ones({1, 2, 1, 4}), {.heads = 2}); }, {"rotary_encode", "2 heads", "1", "(1, 2, 1, 4)"}},
      {[&] { tc::rotary_encode(tc::ones({1, 2, 1, 4}), {.theta = 0}); }, {"rotary_encode", "theta 0"}},
      {[&] { tc::rotary_encode(tc::ones({1, 2, 1, 4}), {.from = -1}); }, {"rotary_encode", "-1"}},
      {[&] { tc::mean_squared_error(a, b); }, {"mean_squared_error", "(2, 3)", "(4, 3)"}},
      {[&] { tc::binary_cross_entropy(a, c); }, {"binary_cross_entropy", "(2, 3)", "(5,)"}},
      {[&] { tc::dropout(a, 1); }, {"dropout", "1"}},
      {[&] { tc::dropout(a, -0.5f); }, {"dropout", "-0.5"}},
      {[&] { tc::dropout(a, std::numeric_limits<float>::quiet_NaN()); }, {"dropout", "nan"}},

      {[&] { tc::embed(ids, c); }, {"embed", "(5,)"}},
      {[&] { tc::embed(ids, a); }, {"embed", "id 2", "position 1", "2"}},
      {[&] { tc::embed(negative, a); }, {"embed", "id -1", "position 0"}},
      {[&] { tc::cross_entropy(wrong, a); }, {"cross_entropy", "id 3", "position 1", "3"}},
      {[&] { tc::cross_entropy(negative, a); }, {"cross_entropy", "id -1", "position 0"}},
      {[&] { tc::cross_entropy(wrong, a, -1); }, {"cross_entropy", "id 3", "position 1", "3"}},
      {[&] { tc::cross_entropy(ids, b); }, {"cross_entropy", "(2,)", "(4, 3)"}},
      {[&] { tc::cross_entropy(ids, scalar); }, {"cross_entropy", "()"}},
      {[&] { tc::cross_entropy(ids, tc::ones({2, 0})); }, {"cross_entropy", "id 0"}},

      {[&] { tc::einsum<"ij,jk->ik">(a, b); }, {"einsum \"ij,jk->ik\"", "index j", "(2, 3)", "(4, 3)", "3", "4"}},
      {[&] { tc::einsum<"ij,i->j">(a, c); }, {"einsum \"ij,i->j\"", "index i", "(2, 3)", "(5,)"}},
      {[&] { tc::einsum<"ijk,jk->ik">(a, b); }, {"einsum \"ijk,jk->ik\"", "operand 1", "3 indices", "(2, 3)"}},
      {[&] { tc::einsum<"ij,j->i">(a, b); }, {"einsum \"ij,j->i\"", "operand 2", "1 indices", "(4, 3)"}},
      {[&] { tc::einsum<"i...jk->...k">(a); }, {"operand 1", "3 or more", "(2, 3)"}},
      {[&] { tc::einsum<"...,...->...">(a, b); }, {"index ...", "(2, 3)", "(4, 3)"}},
      {[&] { tc::einsum<"ij->ji">(a, b); }, {"einsum \"ij->ji\"", "2 tensors"}},
      {[&] { tc::einsum<"ij,jk->ik">(a); }, {"einsum \"ij,jk->ik\"", "1 tensor"}},
  });
}

TEST_CASE("parts are refused in words", "[tensor]") {
  const auto x = tc::ones({2, 3}), y = tc::ones({4, 3}), scalar = tc::ones({});
  const auto ids = tc::to_tensor<int>({0, 2}), negative = tc::to_tensor<int>({{-1}, {0}});
  const std::vector<tc::Tensor<float>> none;
  check_refusals({
      {[&] { x.slice(2, 0); }, {"axis 2", "(2, 3)"}},
      {[&] { x.slice(1, 0, 4); }, {"slice", "axis 1", "(2, 3)", "0 to 4 by 1"}},
      {[&] { x.slice(1, 4); }, {"slice", "axis 1", "(2, 3)", "from 4 by 1"}},
      {[&] { x.slice(1, -4); }, {"slice", "from -4"}},
      {[&] { x.slice(1, 2, 1); }, {"slice", "2 to 1"}},
      {[&] { x.slice(1, 0, 2, 0); }, {"slice", "by 0"}},
      {[&] { x.slice(1, 0, 2, -1); }, {"slice", "0 to 2 by -1"}},
      {[&] { x.slice(1, 3, {}, -1); }, {"slice", "from 3 by -1"}},
      {[&] { scalar.slice(0, 0); }, {"axis 0", "()"}},
      {[&] { x[2]; }, {"index 2", "axis 0", "(2, 3)"}},
      {[&] { x[-3]; }, {"index -3", "axis 0", "(2, 3)"}},
      {[&] { scalar[0]; }, {"[0]", "()"}},
      {[&] { tc::split(x, {1, 1}); }, {"split", "2 numbers", "axis 1", "(2, 3)"}},
      {[&] { tc::split(x, {1, 3}); }, {"split", "3 numbers behind 1", "axis 1", "(2, 3)"}},
      {[&] { tc::split(x, {-1, 4}); }, {"split", "-1"}},
      {[&] { tc::split(x.slice(1, 0, 0), std::vector<tc::Index>{}); }, {"split", "0 numbers", "(2, 0)"}},
      {[&] { tc::concatenate(none); }, {"concatenate", "no tensors"}},
      {[&] { tc::concatenate({x, x, y}, 1); }, {"concatenate", "(2, 3)", "(4, 3)", "axis 1"}},
      {[&] { tc::split(tc::zeros({0}), tc::Index{1} << 62); }, {"split", "(0,)", "4611686018427387904"}},
      {[&] { tc::stack(none); }, {"stack", "no tensors"}},
      {[&] { tc::stack({x, y}); }, {"stack", "(2, 3)", "(4, 3)"}},
      {[&] { tc::stack({x, x}, 3); }, {"stack", "axis 3", "(2, 3)"}},
      {[&] { tc::stack({x, x}, -4); }, {"stack", "axis -4", "(2, 3)"}},
      {[&] { tc::stack({tc::ones({1, 1, 1, 1, 1, 1, 1, 1})}); }, {"more than 8 axes"}},
      {[&] { tc::take(x, ids); }, {"take", "id 2", "position 1", "2"}},
      {[&] { tc::take(x, negative, 1); }, {"take", "id -1", "position 0"}},
      {[&] { tc::take(x, ids, 2); }, {"axis 2", "(2, 3)"}},
      {[&] { tc::gather(x, ids); }, {"gather", "(2,)", "(2, 3)"}},
      {[&] { tc::gather(x, negative); }, {"gather", "id -1", "position 0"}},
      {[&] { tc::gather(x, tc::zeros<int>({3, 1})); }, {"gather", "(3, 1)", "(2, 3)", "axis 1"}},
      {[&] { tc::where(x > x, x, y); }, {"where", "(2, 3)", "(4, 3)", "broadcast"}},
      {[&] { tc::where(y > y, x, x); }, {"where", "(4, 3)", "(2, 3)", "broadcast"}},
  });
}
