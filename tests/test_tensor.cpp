// Tensors of every element type: made, read, seen in parts, put together, and looked up.
#include <Eigen/Core>
#include <array>
#include <climits>
#include <cstdint>
#include "catch.hpp"
#include "refusal.hpp"
#include "tricycle/op/choose.hpp"
#include "tricycle/op/einsum.hpp"
#include "tricycle/op/elementwise.hpp"
#include "tricycle/op/lookup.hpp"
#include "tricycle/op/slice.hpp"
#include "tricycle/tensor/create.hpp"

using tricycle::Index;
using tricycle::Shape;
using tricycle::Tensor;
using tricycle::to_tensor;
namespace tc = tricycle;

namespace {

/// 0, 1, ... of this shape, a leaf.
template <class T = float>
Tensor<T> counted(const Shape& shape) {
  auto x = tc::arange<T>(0, static_cast<double>(shape.size())).detach().reshape(shape);
  if constexpr (tc::Floating<T>) x.require_grad();
  return x;
}

template <class T>
std::vector<T> listed(std::initializer_list<int> numbers) {
  std::vector<T> all;
  for (int n : numbers) all.push_back(tc::convert<T>(n));
  return all;
}
template <class T>
bool same(const std::vector<T>& a, const std::vector<T>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](T x, T y) { return static_cast<double>(static_cast<tc::compute<T>>(x)) == static_cast<double>(static_cast<tc::compute<T>>(y)); });
}

}  // namespace

TEMPLATE_TEST_CASE("numbers of every type are moved alike", "[tensor]", float, double, tc::bf16, tc::half, std::int8_t, std::int16_t, std::int32_t, std::int64_t, std::uint8_t, std::uint16_t) {
  const auto x = counted<TestType>({2, 3, 4});
  auto holds = [](const Tensor<TestType>& y, const Shape& shape, std::initializer_list<int> numbers) {
    CHECK(y.shape() == shape);
    CHECK(same(y.to_vector(), listed<TestType>(numbers)));
  };
  holds(x.slice(2, 1, 3), {2, 3, 2}, {1, 2, 5, 6, 9, 10, 13, 14, 17, 18, 21, 22});
  holds(x.slice(1, -1), {2, 1, 4}, {8, 9, 10, 11, 20, 21, 22, 23});
  holds(x.slice(-1, -1, 0, -2), {2, 3, 2}, {3, 1, 7, 5, 11, 9, 15, 13, 19, 17, 23, 21});
  holds(x.slice(0, 0, {}, 5), {1, 3, 4}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  holds(x.slice(1, 3), {2, 0, 4}, {});
  holds(x[1][-1], {4}, {20, 21, 22, 23});
  holds(x[1][2][3], {}, {23});
  holds(tc::split(x, {1, 2}, 1)[1].slice(0, 1), {1, 2, 4}, {16, 17, 18, 19, 20, 21, 22, 23});
  holds(tc::split(x, 2, 0)[0], {1, 3, 4}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  holds(tc::split(counted<TestType>({3}), {3}, 0)[0], {3}, {0, 1, 2});
  holds(tc::concatenate({x[0], x[1][0].reshape({1, 4})}), {4, 4}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15});
  holds(tc::stack({x[0][0], x[1][0]}, 1), {4, 2}, {0, 12, 1, 13, 2, 14, 3, 15});
  holds(tc::stack({x[0][0], x[1][0]}, -2), {2, 4}, {0, 1, 2, 3, 12, 13, 14, 15});
  holds(tc::take(x, to_tensor<int>({2, 0}), 1), {2, 2, 4}, {8, 9, 10, 11, 0, 1, 2, 3, 20, 21, 22, 23, 12, 13, 14, 15});
  holds(tc::take(x, to_tensor<int>(1)), {3, 4}, {12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23});
  holds(tc::gather(x[0], to_tensor<std::int8_t>({{3}, {0}, {1}})), {3, 1}, {3, 4, 9});
  holds(tc::gather(x[0], to_tensor<int>({{2, 1, 0, 2}}), 0), {1, 4}, {8, 5, 2, 11});
  holds(tc::where(x[0] < x[1], x[0], x[1]), {3, 4}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  holds(tc::where(to_tensor<bool>({true, false, true, false}), 7, x[0][1]), {4}, {7, 5, 7, 7});
  holds(tc::masked_fill(x[0], to_tensor<bool>({{false}, {true}, {true}}), 1), {3, 4}, {0, 1, 2, 3, 1, 1, 1, 1, 1, 1, 1, 1});
  holds(tc::transpose(x[0]), {4, 3}, {0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11});
  holds(x.clone(), {2, 3, 4}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23});
}

TEST_CASE("bools are moved, too", "[tensor]") {
  const auto x = to_tensor<bool>({{true, false, true}, {false, false, true}});
  CHECK(x[1].to_vector() == std::vector<bool>{false, false, true});
  CHECK(x.slice(1, 1).to_vector() == std::vector<bool>{false, true, false, true});
  CHECK(tc::concatenate(x, x, 1).shape() == Shape{2, 6});
  CHECK(tc::take(x, to_tensor<int>({2, 0}), 1).to_vector() == std::vector<bool>{true, true, true, false});
  CHECK(tc::where(x, !x[0], x).to_vector() == std::vector<bool>{false, false, false, false, false, false});
  CHECK(((x && !x) || x).to_vector() == x.to_vector());
  CHECK(to_tensor<bool>(std::vector<bool>{true, false}, {2, 1}).to_vector() == std::vector<bool>{true, false});
  CHECK(to_tensor<float>(std::vector<bool>{true, false}, {2}).to_vector() == std::vector<float>{1, 0});
}

TEST_CASE("parts of the first axis share the storage", "[tensor]") {
  auto x = counted({4, 3});
  auto rows = x.slice(0, 1, 3);
  auto row = x[2];
  CHECK(rows.data() == x.data() + 3);
  CHECK(row.data() == x.data() + 6);
  CHECK(tc::split(x, 2, 0)[1].data() == x.data() + 6);
  CHECK(x.reshape({1, 4, 3}).slice(1, 2).data() == x.data() + 6);                       // as much the first: what is before it is 1
  CHECK(x.slice(1, 0, 2).data() != x.data());
  CHECK(x.slice(0, 0, {}, 2).data() != x.data());
  row.detach().mutable_data()[0] = 100;
  CHECK(x.at(2, 0) == 100);
  CHECK(rows.at(1, 0) == 100);

  auto square = row * row;
  x.detach().mutable_data()[0] = 5;                      // not of that row, but who is to know
  CHECK(refusal([&] { square.backward(); }).find("overwritten") != std::string::npos);
}

TEST_CASE("parts that begin anywhere are as good operands as whole tensors", "[tensor]") {
  for (Index from : {0, 1, 3}) {
    auto x = counted({300}).slice(0, from, from + 36).reshape({6, 6}), y = counted({300}).slice(0, 2 * from, 2 * from + 36).reshape({6, 6});
    auto exact = tc::einsum<"ij,jk->ik">(tc::cast<double>(x), tc::cast<double>(y));
    CHECK(close_to(tc::cast<double>(tc::einsum<"ij,jk->ik">(x, y)), exact));
    CHECK(close_to(tc::cast<double>(x + y), tc::cast<double>(x) + tc::cast<double>(y)));
  }
}

TEST_CASE("gradients find their way back to the parts", "[tensor]") {
  auto x = counted({2, 3});
  (3 * x[1][2] + x[0][0] * x[1][1]).backward();
  CHECK(x.grad().to_vector() == std::vector<float>{4, 0, 0, 0, 0, 3});

  auto a = counted({3}), b = counted({2});
  auto both = tc::concatenate({a, b, a});
  CHECK(both.args().size() == 3);
  both.backward(counted({8}));
  CHECK(a.grad().to_vector() == std::vector<float>{0 + 5, 1 + 6, 2 + 7});
  CHECK(b.grad().to_vector() == std::vector<float>{3, 4});

  std::vector<Tensor<float>> many;
  for (int i = 0; i < 100; ++i) many.push_back(counted({1}));
  many[50] = many[50].detach();
  auto all = tc::stack(many);
  all.backward(counted({100, 1}), {.retain_graph = true});
  CHECK(many[99].grad().item() == 99);
  CHECK_FALSE(many[50].has_grad());
  all.back_fns()[9](tc::ones({100, 1}));                 // to argument 9 alone
  CHECK(many[9].grad().item() == 9 + 1);
  CHECK(many[8].grad().item() == 8);

  auto table = counted({4, 2});
  tc::take(table, to_tensor<int>({3, 1, 3})).backward();
  CHECK(table.grad().to_vector() == std::vector<float>{0, 0, 1, 1, 0, 0, 2, 2});
  auto line = counted({2, 3});
  tc::gather(line, to_tensor<int>({{2, 2, 2, 0}, {1, 1, 1, 1}})).backward();
  CHECK(line.grad().to_vector() == std::vector<float>{1, 0, 3, 0, 4, 0});
  tc::NoGrad guard;
  CHECK_FALSE(tc::concatenate(a, b).requires_grad());
}

TEST_CASE("what is masked has no say, not even NaN", "[tensor]") {
  auto x = to_tensor({1, -1}), y = to_tensor({2, 3});
  auto z = tc::where(x > tc::zeros({2}), x, tc::log(x));
  CHECK(z.at(0) == 1);
  CHECK(std::isnan(z.at(1)));
  auto safe = tc::masked_fill(tc::log(x), x < tc::zeros({2}), -9);
  CHECK(safe.to_vector() == std::vector<float>{0, -9});
  safe.backward();
  CHECK(x.grad().to_vector() == std::vector<float>{1, 0});
}

TEST_CASE("what is masked by a number, of every type", "[tensor]") {
  const auto i = to_tensor<int>({-1, 0, 2});
  using Bools = std::vector<bool>;
  CHECK((i < 2).to_vector() == Bools{true, true, false});
  CHECK((0 == i).to_vector() == Bools{false, true, false});
  CHECK((i > -0.5).to_vector() == Bools{false, true, true});             // not of a number rounded to 0
  CHECK((i != 0u).to_vector() == Bools{true, false, true});
  CHECK((2 > i).to_vector() == Bools{true, true, false});
  CHECK((to_tensor<std::uint64_t>(std::vector<std::uint64_t>{1ull << 63}, {1}) > 0).to_vector() == Bools{true});
  CHECK((to_tensor<tc::half>({1, 2}) < tc::half(2.f)).to_vector() == Bools{true, false});
  CHECK((to_tensor<std::int8_t>({'a', 'b'}) == 'b').to_vector() == Bools{false, true});
  CHECK((to_tensor<std::uint8_t>({200, 255}) > -1).to_vector() == Bools{true, true});
  CHECK((to_tensor<std::int8_t>({-1, 1}) < 200).to_vector() == Bools{true, true});
  const std::vector<std::int64_t> large{(1LL << 62) + 1};
  CHECK((tc::view_of(large, {1}) == ((1LL << 62) + 1)).to_vector() == Bools{true});
  CHECK((tc::view_of(large, {1}) == (1LL << 62)).to_vector() == Bools{false});
  CHECK((to_tensor<bool>({true, false}) == true).to_vector() == Bools{true, false});
  CHECK((to_tensor({0.1f, 0.2f}) <= 0.1).to_vector() == Bools{true, false});                     // the number as a float, as in NumPy
  CHECK((to_tensor<tc::bf16>({0.1f, 0.2f}) == 0.1).to_vector() == Bools{true, false});
  CHECK((to_tensor(std::numeric_limits<float>::quiet_NaN()) != 1).to_vector() == Bools{true});
  CHECK(refusal([&] { static_cast<void>(i < ~0ull); }) == "<: numbers of int32 cannot be compared with 18446744073709551615, which is no int64");
  CHECK(refusal([] { static_cast<void>(to_tensor<std::uint64_t>({1}) == -1); }) == "==: numbers of uint64 cannot be compared with -1, which is no uint64");
  CHECK(refusal([&] { to_tensor({1}).repeat(-1); }) == "repeat: -1 times");
}

TEST_CASE("numbers are made", "[tensor]") {
  CHECK(tc::arange(0, 1, 0.25).to_vector() == std::vector<float>{0, 0.25, 0.5, 0.75});
  CHECK(tc::arange<int>(5, -1, -2).to_vector() == std::vector<int>{5, 3, 1});
  CHECK(tc::arange(3, 3).shape() == Shape{0});
  CHECK(tc::full<std::int8_t>({2}, -7).to_vector() == std::vector<std::int8_t>{-7, -7});
  CHECK(tc::full<bool>({2}, 0.5).to_vector() == std::vector<bool>{true, true});
  tc::seed(7);
  const auto drawn = tc::normal<double>({20'000}, 5, 2).to_vector();
  const double mean = std::accumulate(drawn.begin(), drawn.end(), 0.0) / 2e4;
  const double variance = std::accumulate(drawn.begin(), drawn.end(), 0.0, [=](double sum, double x) { return sum + (x - mean) * (x - mean); }) / 2e4;
  CHECK(mean == Approx(5).margin(0.06));
  CHECK(std::sqrt(variance) == Approx(2).epsilon(0.03));
  CHECK(refusal([] { tc::arange(0, 1, 0); }).find("arange") == 0);
}

TEST_CASE("a view sees the caller's numbers, and no copy", "[tensor]") {
  std::vector<float> numbers(7, 1.f);
  auto x = tc::view_of(std::span(numbers).subspan(1), {2, 3});
  CHECK(x.data() == numbers.data() + 1);
  numbers[3] = 5;
  CHECK(x.at(0, 2) == 5);
  (x * x).backward();
  CHECK(x.grad().to_vector() == std::vector<float>{2, 2, 10, 2, 2, 2});
  x.mutable_data()[5] = 9;
  CHECK(numbers[6] == 9);
  CHECK_FALSE(tc::view_of(numbers, {7}, {.requires_grad = false}).requires_grad());

  const std::vector<int> ids{3, 1};
  auto read_only = tc::view_of(ids, {2});
  CHECK(tc::take(tc::arange(0, 4), read_only).to_vector() == std::vector<float>{3, 1});
  CHECK(refusal([&] { read_only.mutable_data(); }).find("only to be read") != std::string::npos);
  CHECK(refusal([&] { read_only.slice(0, 1).mutable_data(); }).find("only to be read") != std::string::npos);
  CHECK(read_only.clone().mutable_data()[0] == 3);
  CHECK(refusal([&] { tc::view_of(ids, {3}); }).find("2 numbers for shape (3,)") != std::string::npos);

  auto owner = std::make_shared<std::vector<double>>(4, 2.0);
  std::weak_ptr<std::vector<double>> watch = owner;
  auto y = tc::view_of(std::span<double>(*owner), {4}, {}, owner);
  owner.reset();
  auto z = y * y;                                        // which saves y
  y = z.detach();
  CHECK_FALSE(watch.expired());
  z.backward();
  z = z.detach();
  CHECK(watch.expired());
}

TEST_CASE("views of Eigen's matrices", "[tensor]") {
  Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> rows(2, 3);
  rows << 1, 2, 3, 4, 5, 6;
  Eigen::MatrixXd columns(2, 3);
  columns << 1, 2, 3, 4, 5, 6;
  auto x = tc::view_of(rows);
  CHECK(x.shape() == Shape{2, 3});
  CHECK(x.data() == rows.data());
  CHECK(x.to_vector() == std::vector<float>{1, 2, 3, 4, 5, 6});
  auto y = tc::view_of(columns.transpose());
  CHECK(y.data() == columns.data());
  CHECK(y.shape() == Shape{3, 2});
  CHECK(y.to_vector() == std::vector<double>{1, 4, 2, 5, 3, 6});
  Eigen::Map<const Eigen::Matrix<float, 3, 2, Eigen::RowMajor>> map(x.data());
  auto z = tc::view_of(map);
  CHECK(z.shape() == Shape{3, 2});
  CHECK(refusal([&] { z.mutable_data(); }).find("only to be read") != std::string::npos);
  Eigen::VectorXf v = Eigen::VectorXf::LinSpaced(4, 0, 3);
  CHECK(tc::view_of(v).to_vector() == std::vector<float>{0, 1, 2, 3});
  CHECK(tc::view_of(v.segment(1, 2)).to_vector() == std::vector<float>{1, 2});
  CHECK(refusal([&] { tc::view_of(rows.leftCols(2)); }).find("do not follow one another") != std::string::npos);
  CHECK(refusal([&] { tc::view_of(rows.col(1)); }).find("do not follow one another") != std::string::npos);
  CHECK(tc::view_of(rows.topRows(1)).shape() == Shape{1, 3});
}

TEST_CASE("numbers of any span are copied, and parts of a storage onto each other", "[tensor]") {
  std::array<double, 3> fixed{1, 2, 3};
  std::vector<int> ids{4, 5};
  CHECK(to_tensor(std::span(fixed), {3}).to_vector() == std::vector<float>{1, 2, 3});
  CHECK(to_tensor(std::span(std::as_const(fixed)).first<2>(), {2, 1}).shape() == Shape{2, 1});
  CHECK(to_tensor<int>(std::span(ids), {2}).to_vector() == ids);
  auto x = tc::arange(0, 2000);
  x.view({1999}, 1).assign(x.view({1999}));
  CHECK(x.to_vector() == tc::concatenate(tc::zeros({1}), tc::arange(0, 1999)).to_vector());
  x.view({1998}).assign(x.view({1998}, 2));
  CHECK((x.at(0) == 1 && x.at(1997) == 1998 && x.at(1999) == 1998));
}

TEST_CASE("close_to forgives what it is told to", "[tensor]") {
  const auto x = to_tensor({1.0f, 100.0f});
  const float inf = std::numeric_limits<float>::infinity(), NaN = std::numeric_limits<float>::quiet_NaN();
  CHECK(x.close_to(x * 1.00009));
  CHECK_FALSE(x.close_to(x * 1.0003));
  CHECK(x.close_to(x * 1.0003, 1e-3));
  CHECK(to_tensor(1e-9f).close_to(to_tensor(0)));
  CHECK_FALSE(to_tensor(1e-7f).close_to(to_tensor(0)));
  CHECK(to_tensor(1e-7f).close_to(to_tensor(0), 0, 1e-6));
  CHECK_FALSE(x.close_to(x.reshape({2, 1})));
  CHECK(to_tensor(inf).close_to(to_tensor(inf)));
  CHECK_FALSE(to_tensor(1e38f).close_to(to_tensor(inf)));
  CHECK_FALSE(to_tensor(inf).close_to(to_tensor(-inf)));
  CHECK_FALSE(to_tensor(NaN).close_to(to_tensor(NaN)));
  CHECK(to_tensor(NaN).close_to(to_tensor(NaN), 1e-4, 1e-8, true));
  CHECK(to_tensor<std::int64_t>(std::vector<std::int64_t>{(1LL << 62) + 1}, {1}).close_to(to_tensor<std::int64_t>(std::vector<std::int64_t>{(1LL << 62) + 1}, {1}), 0, 0));
  CHECK_FALSE(to_tensor<int>({1, 2}).close_to(to_tensor<int>({1, 3})));
  CHECK(to_tensor<bool>({true, false}).close_to(to_tensor<bool>({true, false})));
}

TEST_CASE("numbers that an integer cannot hold become the nearest that it can, and NaN 0", "[tensor]") {
  const double inf = std::numeric_limits<double>::infinity(), NaN = std::numeric_limits<double>::quiet_NaN();
  const auto x = to_tensor<double>({-inf, -1e20, -129, -1.9, 1.9, 255.5, 3e9, 1e20, inf, NaN});
  CHECK(tc::cast<int>(x).to_vector() == std::vector<int>{INT_MIN, INT_MIN, -129, -1, 1, 255, INT_MAX, INT_MAX, INT_MAX, 0});
  CHECK(tc::cast<std::int8_t>(x).to_vector() == std::vector<std::int8_t>{-128, -128, -128, -1, 1, 127, 127, 127, 127, 0});
  CHECK(tc::cast<std::uint8_t>(x).to_vector() == std::vector<std::uint8_t>{0, 0, 0, 0, 1, 255, 255, 255, 255, 0});
  CHECK(tc::cast<std::int64_t>(tc::cast<float>(x)).to_vector() == std::vector<std::int64_t>{INT64_MIN, INT64_MIN, -129, -1, 1, 255, 3000000000, INT64_MAX, INT64_MAX, 0});
}

TEST_CASE("a vector is a tensor of one axis, unless a shape says otherwise", "[tensor]") {
  const std::vector<double> numbers{1, 2, 3, 4};
  CHECK(tc::to_tensor(numbers).shape() == tc::Shape{4});
  CHECK(tc::to_tensor<double>(numbers).to_vector() == numbers);
}
