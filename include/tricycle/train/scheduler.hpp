// Learning rates by step. A schedule is a function of the number of steps taken so far.
#pragma once
#include <cmath>
#include <limits>
#include "tricycle/core/error.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// Up from 0 to `most` over `warm_up` steps, then down to `least` at step `total`, and `least` from there on.
struct Schedule {
  double most = 1e-3, least = 0;
  Index warm_up = 0, total = 1;

 protected:
  /// The rate once `way` of the way down, 0 to 1, is falling(way) of all that is lost on it. It begins `fall` steps before `total`.
  template <class Falling>
  double rate(Index step, Index fall, Falling falling) const {
    check(step >= 0 && warm_up >= 0 && total > 0, "schedule: step ", step, " of ", total, " with a warm-up of ", warm_up);
    const Index s = step + 1;
    auto over = [](Index a, Index b) { return static_cast<double>(a) / static_cast<double>(b); };
    if (s >= total) return least;
    if (s <= warm_up) return over(s, warm_up) * most;
    if (s <= total - fall) return most;
    return least + (most - least) * falling(over(s - (total - fall), fall));
  }
};

/// Down along a straight line.
struct LinearSchedule : Schedule {
  double operator()(Index step) const {
    return rate(step, total - warm_up, [](double way) { return 1 - way; });
  }
};

/// Down along half a cosine (Loshchilov and Hutter, arXiv:1608.03983).
struct CosineSchedule : Schedule {
  double operator()(Index step) const {
    return rate(step, total - warm_up, [](double way) { return 0.5 * (1 + std::cos(3.14159265358979323846 * way)); });
  }
};

/// Not down at all: `most` after the warm-up, whatever `least` and `total` are.
struct ConstantSchedule : Schedule {
  double operator()(Index step) const {
    ConstantSchedule endless = *this;
    endless.total = (std::numeric_limits<Index>::max)();
    return endless.rate(step, 0, [](double) { return 1.0; });
  }
};

/// Warm-up, stable, decay: `most` until `decay` steps before the end, then down along a straight line (Hu et al.,
/// arXiv:2404.06395). So a run can be made longer, or cooled down early, without another's rates.
struct WarmupStableDecaySchedule : Schedule {
  Index decay = 0;

  double operator()(Index step) const {
    check(decay >= 0 && decay <= total - warm_up, "schedule: a decay of ", decay, " steps, of ", total, " with a warm-up of ", warm_up);
    return rate(step, decay, [](double way) { return 1 - way; });
  }
};

}
}  // namespace tricycle
