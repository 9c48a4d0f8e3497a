// Every row of the op table in half, which is worked out in packs of floats: values and gradients against double, and threads.
// Nothing in the table grows beyond 65504, its sums of 130000 numbers included, whose terms are of both signs. (What does is
// infinite: test_ops_edges.cpp.) But each number's part in the mean of so many lies below 2^-14, where halves are 2^-24 apart
// however small they are: errors up to that are forgiven.
#include "op_checks.hpp"

TEST_CASE("half is as good as it can be", "[ops]") { check_precision<tricycle::half>(4e-6L, 6e-3L, 0x1p-24L); }
TEST_CASE("half has the same bits whatever the number of threads", "[ops]") { check_threads<tricycle::half>(); }
