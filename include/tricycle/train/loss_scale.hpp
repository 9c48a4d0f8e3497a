// Training in half, whose small gradients would vanish: the loss is multiplied by as much as the large ones can bear.
#pragma once
#include <limits>
#include "tricycle/tensor/create.hpp"
#include "tricycle/train/clip.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

struct LossScaleOptions {
  double scale = 65536;                                  // at first
  Index grow_after = 2000;                               // so many good steps in a row
};

namespace detail {

/// What a LossScale knows, in the memory of the device that trains.
struct LossScaleState {
  static constexpr Index size = 4;
  double scale, good_steps, overflow, skipped;           // overflow: 1 when the last gradients were not finite; good_steps: since the scale last changed
};

struct AdjustScale {
  const double* norm; double grow_after; LossScaleState* state; kernel::Alarm alarm;
  TRICYCLE_HD void operator()(Index) const {
    state->overflow = math::isfinite(*norm) ? 0 : 1;
    state->good_steps = state->overflow != 0 ? 0 : state->good_steps + 1;
    if (state->overflow != 0) {
      state->skipped += 1;
      if (state->scale > 1) state->scale = state->scale > 2 ? state->scale / 2 : 1;
      else alarm.not_finite();
    } else if (state->good_steps >= grow_after) {
      state->scale *= 2;
      state->good_steps = 0;
    }
  }
};

template <class T>
struct ScaleSeed {
  double share; const double* scale; T* seed;
  TRICYCLE_HD void operator()(Index) const { *seed = static_cast<T>(*scale * share); }
};

}  // namespace detail

/// The factor by which a loss is multiplied before its gradients are worked out in half (Micikevicius et al., arXiv:1710.03740).
/// It doubles after `grow_after` good steps; when gradients overflow all the same, it is halved and that step moves nothing.
///
///     LossScale scale(device);
///     model.loss(inputs, targets).backward(scale.seed());
///     scale.clip_gradients(model, 1.0);                  // which divides by the scale again
///     model.update(scale.guard(optimiser));
///
/// Nothing of this waits for a GPU. Throws, or on a GPU raises the alarm, when gradients are not finite at a scale of 1 either.
class LossScale {
 public:
  explicit LossScale(Device device = Device::cpu, LossScaleOptions options = {}) : options_(options), state_(Shape{State::size}, device) {
    check(options.scale >= 1 && math::isfinite(options.scale) && options.grow_after > 0, "loss scale: a scale of ", options.scale, " that grows after ", options.grow_after, " steps");
    auto fresh = detail::filled(state_.shape(), 0.0, Device::cpu);
    fresh.mutable_data()[0] = options.scale;
    restore(fresh);
  }

  /// What backward() begins with, for a part of the loss when a step has several passes: its share, times the scale.   ()
  template <std::floating_point T = float>
  Tensor<T> seed(double share = 1) const {
    Tensor<T> seed(Shape{}, state_.device());
    kernel::each(state_.device(), 1, detail::ScaleSeed<T>{share, state_.data(), seed.mutable_data()});
    return seed;
  }

  /// Divide a model's gradients by the scale, clip them by their common norm, which is returned,   () , and adjust the scale.
  template <class Model>
  Tensor<double> clip_gradients(Model& model, double most = std::numeric_limits<double>::infinity()) {
    auto norm = detail::clip(model, most, &state_);
    const bool was_least = state_.device().is_cpu() && state()->scale <= 1;
    kernel::each(state_.device(), 1, detail::AdjustScale{norm.data(), static_cast<double>(options_.grow_after), state(), {"loss scale", state_.device()}});
    check(!was_least || state()->overflow == 0, "loss scale: gradients are not finite, although the scale is down to 1");
    return norm;
  }

  /// The optimiser, which now moves nothing when the gradients have overflowed. For one call of update().
  template <class Optimiser>
  auto guard(Optimiser& optimiser) {
    return [&optimiser, overflow = &state()->overflow](const NamedParameters& parameters) { optimiser(parameters, optimiser.memory, overflow); };
  }

  /// The scale as it is now, and how many steps moved nothing so far. On a GPU these wait for what comes before.
  double scale() const { return state_.to_vector()[0]; }
  Index skipped() const { return static_cast<Index>(state_.to_vector()[3]); }

  /// All that a checkpoint must hold,   (4,) , and back. Throws for numbers that are no such state.
  const Tensor<double>& saved() const { return state_; }
  void restore(const Tensor<double>& saved) {
    check(saved.shape() == state_.shape(), "loss scale: a state of shape ", saved.shape(), ", not ", state_.shape());
    auto numbers = saved.to_vector();
    check(math::isfinite(numbers[0]) && numbers[0] >= 1 && numbers[1] >= 0 && numbers[3] >= 0, "loss scale: a saved scale of ", numbers[0], " after ", numbers[1], " good steps and ", numbers[3], " bad ones");
    state_.assign(saved);
  }

 private:
  using State = detail::LossScaleState;
  State* state() { return reinterpret_cast<State*>(state_.mutable_data()); }

  LossScaleOptions options_;
  Owned<double> state_;                                  // a State
};

}
}  // namespace tricycle
