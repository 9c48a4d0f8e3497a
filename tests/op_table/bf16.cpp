#include "families.hpp"

template Rows<tricycle::bf16> op_table<tricycle::bf16>();
