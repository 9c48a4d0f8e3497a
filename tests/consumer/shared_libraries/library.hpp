// What each shared library of this project offers: code of its own that works on anybody's tensors.
#pragma once
#include <tricycle/op/elementwise.hpp>
#include <tricycle/op/reduce.hpp>
#include <tricycle/tensor/create.hpp>

struct Library {
  tricycle::Tensor<float> (*square)(const tricycle::Tensor<float>& x);
  void (*walk)(const tricycle::Tensor<float>& y);        // backward(), and the graph stays
  void (*refuse)();                                      // throws an Error
  int (*threads)();
  double (*draw)();
};

extern "C" {
const Library* open_library();
const Library* hidden_library();
}
