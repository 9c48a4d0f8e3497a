// Every row of the op table in bf16, which is worked out in packs of floats: values and gradients against double, and threads.
#include "op_checks.hpp"

// The largest error is that of a sigmoid near 1: its gradient y (1 - y) is worked out from a y that was rounded to 8 bits.
TEST_CASE("bf16 is as good as it can be", "[ops]") { check_precision<tricycle::bf16>(1e-4L, 6e-2L); }
TEST_CASE("bf16 has the same bits whatever the number of threads", "[ops]") { check_threads<tricycle::bf16>(); }
