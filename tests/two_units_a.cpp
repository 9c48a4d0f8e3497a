// One of two units that include everything: they must link, and mean the same by a tensor.
#include "tricycle/tricycle.hpp"

tricycle::Tensor<float> twice(const tricycle::Tensor<float>& x);   // two_units_b.cpp

int main() { return twice(tricycle::to_tensor({1, 2, 3})).to_vector() == std::vector<float>{2, 4, 6} ? 0 : 1; }
