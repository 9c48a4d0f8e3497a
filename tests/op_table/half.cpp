#include "families.hpp"

template Rows<tricycle::half> op_table<tricycle::half>();
