// Every row of the op table on a GPU, in double: values and gradients against double on the CPU.
#include "../op_checks.hpp"

// (Angles of rotary positions, of some 1000, multiply what the last digits of CUDA's pow and cos are off by.)
TEST_CASE("double on a GPU is what it is on the CPU", "[ops]") { check_gpu<double>(1e-27L, 1e-26L, 2.3e-16L); }
