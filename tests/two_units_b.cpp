// The other of two units that include everything.
#include "tricycle/tricycle.hpp"

tricycle::Tensor<float> twice(const tricycle::Tensor<float>& x);

tricycle::Tensor<float> twice(const tricycle::Tensor<float>& x) { return x + x; }
