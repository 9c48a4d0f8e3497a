// Every row of the op table on a GPU, in double: values and gradients against double on the CPU.
#include "../op_checks.hpp"

TEST_CASE("double on a GPU is what it is on the CPU", "[ops]") { check_gpu<double>(1e-28L, 1e-26L, 2.3e-16L); }
