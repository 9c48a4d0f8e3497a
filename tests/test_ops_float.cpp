// Every row of the op table in float, which is worked out in packs: values and gradients against double, and threads.
#include "op_checks.hpp"

TEST_CASE("floats are as good as they can be", "[ops]") { check_precision<float>(1e-12L, 1e-5L); }
TEST_CASE("floats have the same bits whatever the number of threads", "[ops]") { check_threads<float>(); }
