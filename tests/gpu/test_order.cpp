// A GPU's memory among threads and among GPUs: what one hands on the other finds, and nobody writes over what is still read.
#include <future>
#include <optional>
#include <thread>
#include "../catch.hpp"
#include "tricycle/kernel/capture.hpp"
#include "tricycle/op/elementwise.hpp"
#include "tricycle/tensor/create.hpp"

using namespace tricycle;

namespace {

const Device first = Device::cuda(0), second = Device::cuda(1);
const Shape shape{1000};

Tensor<float> made_of(float number) { return full(shape, number, {.requires_grad = false, .device = first}); }

bool all_are(const Tensor<float>& x, float wanted) {
  auto at = x.to_vector();
  return std::all_of(at.begin(), at.end(), [=](float v) { return v == wanted; });
}

}  // namespace

TEST_CASE("what a thread frees is not written over before that thread's work has read it", "[memory]") {
  for (int i = 0; i < 20; ++i) {
    std::optional x = made_of(1);
    gpu::synchronise(first);
    std::promise<void> freed, taken;
    bool read_well = false;
    std::thread other([&] {
      auto y = *x + 1;
      x.reset();
      freed.set_value();
      taken.get_future().wait();
      read_well = all_are(y, 2);
    });
    freed.get_future().wait();
    auto z = made_of(5);                                 // in the same memory
    gpu::synchronise(first);
    taken.set_value();
    other.join();
    CHECK(read_well);
    CHECK(all_are(z, 5));
  }
}

TEST_CASE("what a captured step reads or makes is its own", "[memory]") {
  std::optional x = made_of(1);
  std::optional<Tensor<float>> made;
  auto y = made_of(0);
  CapturedStep step(first, [&] {
    made.emplace(*x + 1);
    y.assign(*made);
    x.reset();
  });
  made.reset();
  auto z = made_of(5);                                   // in the memory of neither
  step.run();
  CHECK(all_are(y, 2));
  CHECK(all_are(z, 5));
}

TEST_CASE("GPUs wait for each other where numbers go from one to the other", "[memory]") {
  if (gpu::count() < 2) return;
  for (int i = 0; i < 20; ++i) {
    auto x = made_of(1);
    x += made_of(1);
    auto there = x.to(second);
    x += made_of(1);                                     // after the copy
    if (i % 2) CHECK(all_are(x, 3));                     // whichever is waited for first
    CHECK(all_are(there, 2));
    CHECK(all_are(x, 3));
  }
}

TEST_CASE("a thread can go on in a stream of its user's", "[memory]") {
  const auto before = gpu::stream(first);
  cudaStream_t own;                                      // kept for ever, as its memory is
  gpu::check(cudaStreamCreateWithFlags(&own, cudaStreamNonBlocking), "cudaStreamCreate");
  for (int i = 0; i < 20; ++i) {
    auto x = made_of(1);
    x += made_of(1);
    gpu::use_stream(first, i % 2 ? before : own);
    CHECK(all_are(x + 1, 3));
  }
  gpu::use_stream(first, before);
}
