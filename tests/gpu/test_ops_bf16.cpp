// Every row of the op table on a GPU, in bf16: values and gradients against double on the CPU.
#include "../op_checks.hpp"

TEST_CASE("bf16 on a GPU is what it is on the CPU", "[ops]") { check_gpu<tricycle::bf16>(1e-4L, 1e-4L, 8e-3L); }
