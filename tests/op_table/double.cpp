#include "families.hpp"

template Rows<double> op_table<double>();
