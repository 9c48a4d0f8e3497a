// A GPU's memory and streams: blocks that are used again in order, threads that hand tensors on, and clean refusals.
#include <thread>
#include "../catch.hpp"
#include "../refusal.hpp"
#include "tricycle/tricycle.hpp"

using namespace tricycle;

namespace {
const Device gpu_0 = Device::cuda(0);

Tensor<float> counted(Index n) { return arange(0, static_cast<double>(n), 1, {.requires_grad = false}); }
}  // namespace

TEST_CASE("numbers travel to a GPU and back, of any size and alignment", "[memory]") {
  for (Index n : {0, 1, 31, 1023, 1 << 20, (1 << 21) + 3}) {          // the last in more than one piece
    auto x = counted(n), y = x.to_gpu();
    CHECK(y.device() == gpu_0);
    CHECK(y.to_vector() == x.to_vector());
    CHECK(y.clone().to_vector() == x.to_vector());
    if (n > 1) {
      auto tail = y.view(Shape{n - 1}, 1);                            // not aligned to 16 bytes
      CHECK((tail + tail).to_vector() == (x.view(Shape{n - 1}, 1) * 2.0).to_vector());
    }
  }
  CHECK(to_tensor<std::int8_t>({-1, 2, 3}).to_gpu().to_vector() == std::vector<std::int8_t>{-1, 2, 3});
  CHECK(to_tensor<bool>({1, 0, 1}).to_gpu().to_vector() == std::vector<bool>{true, false, true});
}

TEST_CASE("parts of a GPU's tensor are copied onto each other", "[memory]") {
  auto x = counted(5000).to_gpu();
  x.view(Shape{4999}, 1).assign(x.view(Shape{4999}));
  CHECK(x.to_vector() == concatenate(counted(1), counted(4999)).to_vector());
  x.assign(x);
  CHECK(x.at(4999) == 4998);
}

TEST_CASE("gradients go back the way the numbers came", "[memory]") {
  auto x = to_tensor({1, 2, 3});
  auto y = sum(x.to_gpu() * x.to_gpu(), {}).from_gpu() * 2.0;
  y.backward();
  CHECK(x.grad().device() == Device::cpu);
  CHECK(x.grad().to_vector() == std::vector<float>{4, 8, 12});
}

TEST_CASE("a tensor on a GPU is read and printed as any other", "[memory]") {
  auto x = to_tensor({{1, 2}, {3, 4}}, {.device = gpu_0});
  CHECK(x.at(1, 0) == 3);
  CHECK(sum(x).item() == 10);
  CHECK(to_string(x) == "Tensor([[1. 2.]\n        [3. 4.]])");
  CHECK(close_to(x, to_tensor({{1, 2}, {3, 4}})));
  CHECK(refusal([&] { x.span(); }) == "span: a tensor of shape (2, 2) is on cuda:0: read a copy, from_gpu()");
}

TEST_CASE("two GPUs work apart, and exchange numbers", "[memory]") {
  if (gpu::count() < 2) return;
  auto a = counted(1000).to_gpu(0), b = a.to_gpu(1) * 3.0, c = b.to_gpu(0) + a;
  CHECK(b.device() == Device::cuda(1));
  CHECK(c.to_vector() == (counted(1000) * 4.0).to_vector());
  CHECK(refusal([&] { a + b; }) == "badd: the left operand is on cuda:0, but the right one on cuda:1");
  CHECK(refusal([&] { b * counted(1000); }) == "bmul: the left operand is on cuda:1, but the right one on cpu");
  CHECK(refusal([&] { einsum<"i,i->">(a, b); }) == "einsum \"i,i->\": operand 1 is on cuda:0, but operand 2 on cuda:1");
}

TEST_CASE("what is freed is used again, and not before its time", "[memory]") {
  gpu::synchronise(gpu_0);
  auto x = counted(100'000).to_gpu(), y = x;
  const void* at = nullptr;
  for (int i = 0; i < 20; ++i) {
    y = y * 1.0 + 1.0;                                   // each result takes the place of the last but one
    if (i == 10) at = y.data();
  }
  CHECK(y.to_vector() == (counted(100'000) + 20.0).to_vector());
  const auto held = gpu::Pool::of(gpu_0)->held();
  y = y * 1.0;
  y = y * 1.0;
  CHECK(gpu::Pool::of(gpu_0)->held() == held);
  CHECK(at != nullptr);
}

TEST_CASE("tensors outlive the thread that made them, and may be freed by another", "[memory]") {
  std::vector<Tensor<float>> made;
  std::thread([&] {
    for (int i = 0; i < 4; ++i) made.push_back(counted(5000).to_gpu() * static_cast<double>(i));
    gpu::synchronise(gpu_0);
  }).join();
  for (int i = 0; i < 4; ++i) {
    auto doubled = made.back() * 2.0;                    // still to be read in this thread's stream when the other's gets it back
    made.pop_back();
    std::thread([] { counted(5000).to_gpu() * -1.0; }).join();
    CHECK(doubled.to_vector() == (counted(5000) * (2.0 * (3 - i))).to_vector());
  }
}

TEST_CASE("several threads use a GPU at once", "[memory]") {
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&, t] {
      auto x = counted(777).to_gpu();
      for (int i = 0; i < 10; ++i) x = x + static_cast<double>(t);
      right += x.to_vector() == (counted(777) + 10.0 * t).to_vector();
    });
  for (auto& thread : threads) thread.join();
  CHECK(right == 3);
}

TEST_CASE("work goes into the user's stream", "[memory]") {
  std::thread([] {
    cudaStream_t mine;
    REQUIRE(cudaStreamCreateWithFlags(&mine, cudaStreamNonBlocking) == cudaSuccess);
    auto before = counted(100).to_gpu();
    gpu::use_stream(gpu_0, mine);
    CHECK(gpu::stream(gpu_0) == mine);
    CHECK((before + 1.0).to_vector() == (counted(100) + 1.0).to_vector());
  }).join();
}

TEST_CASE("a GPU that is not there, and memory that is not, are refused in one sentence", "[memory]") {
  const int n = gpu::count();
  CHECK(refusal([&] { ones({2}).to_gpu(n); }).find("cuda: cuda:" + std::to_string(n) + " was asked for, but there ") == 0);
  std::size_t left = 0, all = 0;
  REQUIRE(cudaMemGetInfo(&left, &all) == cudaSuccess);
  auto said = refusal([&] { Tensor<char>(Shape{static_cast<Index>(2 * all)}, gpu_0); });
  CHECK(said.find("storage: out of memory on cuda:0: " + std::to_string(2 * all) + " bytes were asked for, ") == 0);
  CHECK(said.find(" are held by tensors, ") != std::string::npos);
  CHECK(said.find(" of " + std::to_string(all) + " are free") != std::string::npos);
  CHECK((counted(10).to_gpu() + 1.0).to_vector() == (counted(10) + 1.0).to_vector());
}

TEST_CASE("memory that is kept for later is given up when it runs short", "[memory]") {
  std::size_t left = 0, all = 0;
  REQUIRE(cudaMemGetInfo(&left, &all) == cudaSuccess);
  const auto most = static_cast<Index>(left / 8 * 3);
  for (Index size : {most, most / 2 * 3}) {              // the second fits only where the first was
    Tensor<char> x(Shape{size}, gpu_0);
    CHECK(x.data() != nullptr);
  }
}

TEST_CASE("products whose result or operands cuBLASLt cannot read in place are right", "[memory]") {
  auto a = uniform({6, 5, 4}), b = uniform({6, 4, 3});
  for (auto e : {"bij,bjk->ikb", "bij,bjk->kib", "bij,bjk->bki", "bij,bjk->ibk"}) {
    auto there = Einsum(e)(a.to_gpu(), b.to_gpu());
    CHECK(close_to(there, Einsum(e)(a, b), 1e-5, 1e-6));
  }
  CHECK(refusal([] { kernel::gemm(gpu_0, {.m = 1, .n = 1, .k = 1, .a = {}, .b = {}, .c = {}}, static_cast<int*>(nullptr), static_cast<int*>(nullptr), static_cast<int*>(nullptr)); })
        == "gemm: products of integers are made on the CPU only, not on cuda:0");
}

TEST_CASE("TF32 is a choice, and off", "[memory]") {
  auto a = uniform({64, 256}), b = uniform({256, 64});
  const auto exact = Einsum("ij,jk->ik")(cast<double>(a), cast<double>(b));
  auto error = [&] {
    auto far = abs(cast<double>(Einsum("ij,jk->ik")(a.to_gpu(), b.to_gpu()).from_gpu()) - exact);
    return max(far).item();
  };
  CHECK(error() < 1e-4);
  gpu::product_options().tf32 = true;
  CHECK(error() > 1e-4);
  gpu::product_options().tf32 = false;
}
