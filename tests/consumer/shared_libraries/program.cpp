// A program and three shared libraries, all of which include Tricycle, work on each other's tensors, in several threads.
#include <dlfcn.h>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>
#include "library.hpp"
using tricycle::Tensor;

static int failures = 0;
static void expect(bool holds, const char* what) {
  if (!holds) std::printf("failed: %s\n", what), ++failures;
}

// A leaf with enough numbers for several threads.
static Tensor<float> numbers() { return tricycle::full({1 << 17}, 2.f); }

static bool all(const Tensor<float>& x, float number) {
  for (float each : x.span())
    if (each != number) return false;
  return true;
}

// Values and gradients of ops made here and by `libraries` in turn: y = (((x^2)^2)^2 ...), dy/dx = n x^(n - 1).
static bool agrees(const std::vector<const Library*>& libraries) {
  auto x = numbers();
  auto y = x;
  float power = 1;
  for (auto* library : libraries) y = library->square(y), power *= 2;
  float value = 2;
  for (float p = 1; p < power; p *= 2) value *= value;
  bool right = all(y, value);
  sum(y).backward();
  return right && all(x.grad(), power * value / 2);
}

// A graph that was walked before is walked again by somebody else's code: twice there, then once here, so that neither's count of
// walks stays ahead.
static bool walk_in_turns(const Library* library) {
  auto x = tricycle::to_tensor({1, 2, 3});
  auto y = sum(exp(0 * x) * library->square(x));         // dy/dx = 2 x
  for (int round = 0; round < 20; ++round) {
    library->walk(y), library->walk(y);
    y.backward({.retain_graph = true});
  }
  return x.grad().to_vector() == std::vector<float>{2 * 60, 4 * 60, 6 * 60};
}

static bool refuses(const Library* library) {
  try {
    library->refuse();
  } catch (const tricycle::Error& error) {
    return std::string(error.what()).find("(2,) and (3,)") != std::string::npos;
  }
  return false;
}

// A library that comes and goes, in a thread that comes and goes.
static void open_and_close() {
  auto x = numbers();
  void* plugin = dlopen(PLUGIN, RTLD_NOW | RTLD_LOCAL);
  expect(plugin != nullptr, "dlopen");
  if (!plugin) return;
  auto* library = reinterpret_cast<const Library* (*)()>(dlsym(plugin, "hidden_library"))();
  tricycle::set_threads(tricycle::threads() + 1);        // which the library is the first to use: so it is what starts a thread
  expect(all(library->square(x), 4), "a library that starts a thread");
  expect(agrees({library, open_library(), library}), "a library that was opened");
  expect(walk_in_turns(library), "walks of a library that was opened");
  expect(refuses(library), "an Error of a library that was opened");
  expect(dlclose(plugin) == 0, "dlclose");
}

static Tensor<float> kept = numbers();                   // destroyed after main, with a graph that two libraries made

int main() {
  tricycle::set_threads(3);
  const Library *open = open_library(), *hidden = hidden_library();

  expect(agrees({open}) && agrees({hidden}) && agrees({open, hidden, open}), "tensors of all three");
  expect(walk_in_turns(hidden) && walk_in_turns(open), "walks in turns");
  expect(refuses(open) && refuses(hidden), "an Error of a library");

  // What a process has once.
  expect(open->threads() == 3 && hidden->threads() == 3, "set_threads");
  tricycle::seed(42);
  double first = tricycle::random_uniform(), second = tricycle::random_uniform();
  tricycle::seed(42);
  expect(open->draw() == first && hidden->draw() == second, "seed");
  {
    tricycle::NoGrad guard;
    auto x = numbers();
    expect(open->square(x).args().empty() && hidden->square(x).args().empty(), "NoGrad");
  }

  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([=] {
      for (int round = 0; round < 5; ++round) {
        tricycle::NoGrad guard;
        if (!all(hidden->square(open->square(numbers())), 16)) std::abort();
      }
    });
  for (auto& thread : threads) thread.join();

  for (int round = 0; round < 3; ++round) {
    std::thread(open_and_close).join();
    if (void* plugin = dlopen(PLUGIN, RTLD_NOW | RTLD_LOCAL)) dlclose(plugin);   // now that the thread's tensor does not keep it
    expect(agrees({open, hidden}), "after a library has gone");
  }
  open_and_close();

  kept = hidden->square(open->square(numbers()));
  std::printf("%d failures\n", failures);
  return failures;
}
