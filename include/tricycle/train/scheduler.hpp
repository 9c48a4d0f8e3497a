// Learning rates by step. A schedule is a function of the number of steps taken so far.
#pragma once
#include <algorithm>
#include <cmath>
#include "tricycle/core/error.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// Up from 0 to `most` over `warm_up` steps, then down to `least` at step `total`, and `least` from there on.
struct Schedule {
  double most = 1e-3, least = 0;
  Index warm_up = 0, total = 1;

 protected:
  /// How far the way down has come, 0 to 1, where falling(way) is the rate; s counts from 1.
  template <class Falling>
  double rate(Index step, Falling falling) const {
    check(step >= 0 && warm_up >= 0 && total > 0, "schedule: step ", step, " of ", total, " with a warm-up of ", warm_up);
    auto s = static_cast<double>(step + 1), up = static_cast<double>(warm_up), all = static_cast<double>(total);
    if (s >= all) return least;
    if (s <= up) return s / up * most;
    return least + (most - least) * falling((s - up) / (all - up));
  }
};

/// Down along a straight line.
struct LinearSchedule : Schedule {
  double operator()(Index step) const {
    return rate(step, [](double way) { return 1 - way; });
  }
};

/// Down along half a cosine (Loshchilov and Hutter, arXiv:1608.03983).
struct CosineSchedule : Schedule {
  double operator()(Index step) const {
    return rate(step, [](double way) { return 0.5 * (1 + std::cos(3.14159265358979323846 * way)); });
  }
};

}
}  // namespace tricycle
