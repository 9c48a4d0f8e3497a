// Memory: aligned blocks that are handed out again, whichever thread frees them, and storage that says no in one sentence.
#include <cstring>
#include <set>
#include <thread>
#include <vector>
#ifdef __linux__
#include <sys/resource.h>
#endif
#include "catch.hpp"
#include "refusal.hpp"
#include "tricycle/tensor/tensor.hpp"

namespace memory = tricycle::memory;
using tricycle::Device;
using tricycle::Index;
using tricycle::Shape;
using tricycle::Tensor;

#ifdef __SANITIZE_THREAD__
constexpr bool thread_sanitizer = true;
#else
constexpr bool thread_sanitizer = false;
#endif

TEST_CASE("a block holds what was asked for, aligned, and at most a quarter more") {
  for (std::size_t bytes : {0u, 1u, 63u, 64u, 65u, 128u, 129u, 192u, 193u, 256u, 257u, 320u, 321u, 1024u, 1025u, 5000u, 1u << 20, (1u << 20) + 1}) {
    std::size_t size = memory::class_bytes(memory::size_class(bytes));
    CHECK(size >= bytes);
    CHECK(size % memory::alignment == 0);
    CHECK(size <= (std::max)(std::size_t{64}, bytes + (bytes > 256 ? bytes / 4 : 63) + 1));
    void* block = memory::allocate(bytes);
    CHECK(reinterpret_cast<std::uintptr_t>(block) % memory::alignment == 0);
    std::memset(block, 1, bytes);
    memory::release(block, bytes);
  }
  for (int c = 1; c < 220; ++c) {
    CHECK(memory::class_bytes(c) > memory::class_bytes(c - 1));
    CHECK(memory::size_class(memory::class_bytes(c)) == c);
    CHECK(memory::size_class(memory::class_bytes(c - 1) + 1) == c);
  }
}

TEST_CASE("blocks that are alive do not overlap") {
  std::vector<std::pair<unsigned char*, std::size_t>> blocks;
  unsigned random = 1;
  for (int i = 0; i < 20000; ++i) {
    random = random * 1664525u + 1013904223u;
    if (blocks.size() > 300 || (random >> 31 && !blocks.empty())) {
      auto& [block, bytes] = blocks[(random >> 8) % blocks.size()];
      auto mark = static_cast<unsigned char>(reinterpret_cast<std::uintptr_t>(block) >> 6);
      bool whole = true;
      for (std::size_t j = 0; j < bytes; ++j) whole = whole && block[j] == mark;
      REQUIRE(whole);
      memory::release(block, bytes);
      std::swap(blocks[(random >> 8) % blocks.size()], blocks.back());
      blocks.pop_back();
    } else {
      std::size_t bytes = (random >> 8) % (random & 1 ? 200 : 3000);
      auto* block = static_cast<unsigned char*>(memory::allocate(bytes));
      std::memset(block, static_cast<unsigned char>(reinterpret_cast<std::uintptr_t>(block) >> 6), bytes);
      blocks.emplace_back(block, bytes);
    }
  }
  for (auto [block, bytes] : blocks) memory::release(block, bytes);
}

TEST_CASE("a loop that does the same again meets the same blocks, and no page fault") {
  if (!memory::caching || thread_sanitizer) return;
  auto step = [](std::set<const void*>& blocks) {           // two phases that share no size class: what one keeps may not push the other out
    for (Index size : {3 << 20, 5 << 20}) {
      std::vector<Tensor<float>> tensors;
      for (int i = 0; i < 8; ++i) {
        tensors.emplace_back(Shape{size + i});
        std::memset(tensors.back().mutable_data(), 1, static_cast<std::size_t>(size) * 4);
        blocks.insert(tensors.back().data());
        tensors.emplace_back(Shape{i});
      }
    }
  };
  std::set<const void*> first, later;
  step(first);
#ifdef __linux__
  auto faults = [] {
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_minflt + usage.ru_majflt;
  };
  long before = faults();
  for (int i = 0; i < 5; ++i) step(later);
  CHECK(faults() - before < 50);                             // the sets' own
#endif
  CHECK(later == first);
}

TEST_CASE("what another thread made outlives it, and may be freed here") {
  Tensor<float> big(Shape{0}), small(Shape{0});
  for (int round = 0; round < 50; ++round) {
    std::thread([&] {
      big = Tensor<float>(Shape{100000});                    // also frees the one of the thread before
      small = Tensor<float>(Shape{3});
      std::fill_n(big.mutable_data(), 100000, 1.f);
      std::fill_n(small.mutable_data(), 3, 2.f);
    }).join();
    REQUIRE(big.at(99999) == 1.f);
    REQUIRE(small.at(2) == 2.f);
  }
}

TEST_CASE("threads that come and go do not use memory up") {
  if (!memory::caching || thread_sanitizer) return;
  std::set<const void*> blocks;
  for (int i = 0; i < 200; ++i) std::thread([&] { blocks.insert(Tensor<float>(Shape{3}).data()); }).join();
  CHECK(blocks.size() < 10);
}

TEST_CASE("a thread that only frees what others make keeps little") {
  if (!memory::caching || thread_sanitizer) return;
  std::set<const void*> blocks;
  std::thread([&] {
    for (int i = 0; i < 100; ++i) {
      void* block = nullptr;
      std::thread([&] { block = memory::allocate(8 << 20); }).join();
      memory::release(block, 8 << 20);
      blocks.insert(block);
    }
  }).join();
  CHECK(blocks.size() < 100);                                // some were given back to the system, and came again
}

TEST_CASE("sizes that overflow are refused before anything is allocated") {
  constexpr Index huge = Index{1} << 62;
  CHECK(refusal([] { Shape({huge, huge}).size(); }) == "shape: (4611686018427387904, 4611686018427387904) has more elements than 64 bits can count");
  CHECK(refusal([] { Tensor<float>(Shape{huge, 4}); }) == "shape: (4611686018427387904, 4) has more elements than 64 bits can count");
  CHECK(refusal([] { Tensor<float>(Shape{huge}); }) == "storage: 4611686018427387904 numbers of 4 bytes are more than memory can address");
  CHECK(refusal([] { Tensor<double>(Shape{Index{1} << 60}); }) == "storage: 1152921504606846976 numbers of 8 bytes are more than memory can address");
  CHECK(Tensor<float>(Shape{0, huge}).size() == 0);
  CHECK(refusal([] { Tensor<float>(Shape{2}, Device::cuda()); }) == "storage: cuda:0 was asked for, but this program was built for the CPU alone: compile it with nvcc, or link tricycle::cuda");
}

TEST_CASE("out of memory is one Error, and no reason to stop") {
  if (!memory::caching || thread_sanitizer) return;          // a sanitizer ends the program instead
  for (int i = 0; i < 3; ++i)
    for (Index size : {Index{1} << 58, (Index{1} << 60) + 1})
      CHECK(refusal([&] { Tensor<float> t(Shape{size}); }) == "storage: out of memory: " + std::to_string(4 * size) + " bytes were asked for");
  Tensor<float> t(Shape{1000});
  CHECK(t.size() == 1000);
}

TEST_CASE("a tensor's numbers are aligned, whatever its type and size") {
  for (Index n : {0, 1, 2, 7, 16, 17, 1000, 100000}) {
    CHECK(reinterpret_cast<std::uintptr_t>(Tensor<float>(Shape{n}).data()) % 64 == 0);
    CHECK(reinterpret_cast<std::uintptr_t>(Tensor<bool>(Shape{n}).data()) % 64 == 0);
    CHECK(reinterpret_cast<std::uintptr_t>(Tensor<double>(Shape{n}).data()) % 64 == 0);
  }
}

// Destroyed after the main thread's cache is gone; a fault would end the program with another status.
namespace {
Tensor<float> global(Shape{5});
struct Late {
  std::vector<Tensor<float>> kept;
  ~Late() { kept.push_back(Tensor<float>(Shape{100000})); }
} late;
}  // namespace

TEST_CASE("a tensor with static storage survives static destruction") {
  late.kept.emplace_back(Shape{7});
  global = Tensor<float>(Shape{70});
  static Tensor<float> local(Shape{7});
  CHECK(local.size() == 7);
}
