#include "families.hpp"

template Rows<float> op_table<float>();
