// Anomaly mode: where the first NaN comes from, or the first infinity.
#pragma once
#include <algorithm>
#include <span>
#include "tricycle/core/math.hpp"
#include "tricycle/tensor/tape.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

TRICYCLE_PROCESS_WIDE inline bool& detecting() {
  thread_local bool on = false;
  return on;
}

/// While one of these is alive, an op that this thread calls throws when its result has a NaN, or an infinity that none of its
/// operands has; and so does backward() at the op that sends a NaN or an infinity on. The Error names the op and how its
/// operands were made, down to the leaves: parameters by name after model.name_parameters(), others after x.named("x"). Every
/// number is looked at, and waited for on a GPU.
class DetectAnomaly {
 public:
  [[nodiscard]] DetectAnomaly() = default;
  ~DetectAnomaly() { detecting() = before_; }
  DetectAnomaly(const DetectAnomaly&) = delete;
  DetectAnomaly& operator=(const DetectAnomaly&) = delete;

 private:
  bool before_ = std::exchange(detecting(), true);
};

namespace detail {

/// The first NaN among numbers, or else the first infinity.
struct Anomaly {
  const char* what = nullptr;                            // null: there is none
  Index at = 0;
  bool is_nan = false;
};

template <Element T>
Anomaly find_anomaly(std::span<const T> numbers) {
  Anomaly found;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const auto x = static_cast<compute<T>>(numbers[i]);
    if (math::isfinite(x)) continue;
    if (math::isnan(x)) return {"nan", static_cast<Index>(i), true};
    if (!found.what) found = {x > 0 ? "inf" : "-inf", static_cast<Index>(i)};
  }
  return found;
}

/// Number `at` of a tensor in row-major order, by an index per axis.
inline Shape place_of(Index at, const Shape& shape) {
  Shape place = shape;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    place = place.with(axis, at % shape[axis]);
    at /= shape[axis];
  }
  return place;
}

/// "mul (2,) float32 of [leaf x (2,) float32, a constant]": how a tensor was made, some levels deep and of some `tensors` at most.
inline void tell_origin(std::ostream& out, const AnyNode& node, int levels, int& tensors) {
  out << node;
  --tensors;
  const auto& args = node.args.size() == 1 && node.args[0] && node.args[0]->several ? node.args[0]->args : node.args;
  if (args.empty()) return;
  out << " of [";
  for (std::size_t i = 0; i < args.size(); ++i) {
    out << (i > 0 ? ", " : "");
    if (levels == 0 || tensors <= 0) return void(out << "...]");
    if (args[i]) tell_origin(out, *args[i], levels - 1, tensors);
    else out << "a constant";
  }
  out << ']';
}
inline std::string origin(const AnyNode& node) {
  int tensors = 16;
  return written([&](std::ostream& out) { tell_origin(out, node, 4, tensors); });
}

/// An operand of an op that is being recorded.
struct Operand {
  const AnyNode* node;                                   // null: a constant
  Shape shape;
  const char* dtype;
  Anomaly anomaly;

  friend std::ostream& operator<<(std::ostream& out, const Operand& x) {
    if (x.node) out << origin(*x.node);
    else out << "a constant " << x.shape << ' ' << x.dtype;
    return out << (x.anomaly.what ? " with " : "") << (x.anomaly.what ? x.anomaly.what : "");
  }
};

/// Throws if a result has a NaN, or an infinity where no operand has one.
inline void check_result(std::string_view op, const Shape& shape, const char* dtype, const Anomaly& found, std::span<const Operand> operands) {
  if (!found.what || (!found.is_nan && std::any_of(operands.begin(), operands.end(), [](auto& x) { return x.anomaly.what != nullptr; }))) return;
  const std::string from = written([&](std::ostream& out) {
    for (const Operand& x : operands) out << (&x == operands.data() ? "" : ", ") << x;
  });
  fail(op, ": ", found.what, " at ", place_of(found.at, shape), " of its result ", shape, ' ', dtype, ", made of [", from, ']');
}

/// Throws if the gradient that came by the edge `from`.args[i] has a NaN or an infinity.
inline void check_sent(const AnyNode& from, std::size_t i, const Anomaly& found) {
  if (!found.what) return;
  fail("backward of \"", from.name, "\": ", found.what, " at ", place_of(found.at, from.args[i]->shape), " of the gradient of its operand ", i, ", as it made ", origin(from));
}

}  // namespace detail

}
}  // namespace tricycle
