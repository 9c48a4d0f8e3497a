// A layer that is two parameters, a and b, of two ones each.
#pragma once
#include "tricycle/nn/layers.hpp"

struct Pair : tricycle::Layer<Pair> {
  tricycle::Parameter a{tricycle::ones({2})}, b{tricycle::ones({2})};
  static void parts(auto& self, auto&& part) { part("a", self.a), part("b", self.b); }
};
