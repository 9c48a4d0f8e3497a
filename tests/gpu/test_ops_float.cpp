// Every row of the op table on a GPU, in float: values and gradients against double on the CPU.
#include "../op_checks.hpp"

TEST_CASE("float on a GPU is what it is on the CPU", "[ops]") { check_gpu<float>(1e-12L, 1e-9L, 1.2e-7L); }
