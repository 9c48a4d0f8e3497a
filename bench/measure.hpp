// What the benchmarks share: time a piece of work several times, and take the middle.
#pragma once
#include <algorithm>
#include <chrono>
#include <vector>

namespace bench {

inline double seconds(auto&& work) {
  auto began = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

inline double median(std::vector<double> x) {
  auto middle = x.begin() + static_cast<std::ptrdiff_t>(x.size() / 2);
  std::nth_element(x.begin(), middle, x.end());
  return *middle;
}

/// The median of the seconds that `runs` runs of `work` take, after one that does not count.
inline double median_seconds(int runs, auto&& work) {
  work();
  std::vector<double> times;
  for (int i = 0; i < runs; ++i) times.push_back(seconds(work));
  return median(times);
}

}  // namespace bench
