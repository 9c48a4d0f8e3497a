// Every row of the op table on a GPU, in half: values and gradients against double on the CPU.
#include "../op_checks.hpp"

TEST_CASE("half on a GPU is what it is on the CPU", "[ops]") { check_gpu<tricycle::half>(4e-6L, 4e-6L, 1e-3L, 0x1p-24L); }
