// Every row of the op table in double: values against plain loops, gradients against finite differences.
#include "op_checks.hpp"
#include "tricycle/nn/gradcheck.hpp"

TEST_CASE("values are what plain loops make of them", "[ops]") {
  for_every_case<double>(op_table<double>(), [](const Row<double>& row, const std::vector<Shape>& shapes) {
    const Operands in = drawn<double>(shapes, row.domain);
    const auto y = row.call(tensors<double>(in));
    const auto expected = row.expected(in);
    REQUIRE(y.shape() == expected.shape);
    CHECK(distance(numbers_of(y), expected).worst <= 1e-12L);
  });
}

/// Finite differences take two calls for each number.
static bool are_few(const std::vector<Shape>& shapes) { return numbers_in(shapes) <= 500; }

TEST_CASE("every row has five shapes whose gradients are held against finite differences", "[ops]") {
  for (const Row<double>& row : op_table<double>()) {
    INFO(row.name);
    CHECK((!row.differentiable || std::count_if(row.cases.begin(), row.cases.end(), are_few) >= 5));
  }
}

TEST_CASE("gradients are what finite differences say", "[ops]") {
  for_every_case<double>(op_table<double>(), [](const Row<double>& row, const std::vector<Shape>& shapes) {
    if (!row.differentiable || !are_few(shapes)) return;
    const Operands in = drawn<double>(shapes, row.domain);
    CHECK_NOTHROW(tricycle::gradcheck(row.call, tensors<double>(in)));
    const auto all = outcome(row, in), twice = outcome(row, in, -1, 2);
    for (std::size_t i = 0; i < in.size(); ++i) {
      INFO("gradient of operand " << i);
      const Numbers gradient = numbers_of(all.grads[i]);
      // It is the same when no other gradient is wanted, and adds up.
      CHECK(distance(numbers_of(outcome(row, in, static_cast<int>(i)).grads[0]), gradient).worst <= 1e-14L);
      CHECK(distance(numbers_of(twice.grads[i]), reference::each([](Real g) { return 2 * g; })({gradient})).worst <= 1e-14L);
    }
  });
}

TEST_CASE("doubles have the same bits whatever the number of threads", "[ops]") { check_threads<double>(); }
