// One source of the shared libraries; LIBRARY is the one function that is to be seen from outside.
#include "library.hpp"
using tricycle::Tensor;

static Tensor<float> constant = tricycle::ones({1}).detach();              // destroyed with the library, or after main
thread_local Tensor<float> latest = constant;            // destroyed with the thread

extern "C" __attribute__((visibility("default"))) const Library* LIBRARY() {
  static constexpr Library library{
      [](const Tensor<float>& x) { return latest = x * x * constant; },
      [](const Tensor<float>& y) { Tensor<float>(y).backward({.retain_graph = true}); },
      [] { latest = tricycle::zeros({2}) + tricycle::zeros({3}); },
      [] { return tricycle::threads(); },
      [] { return tricycle::random_uniform(); },
  };
  return &library;
}
