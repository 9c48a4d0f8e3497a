// Parameter: what an optimiser moves.
#pragma once
#include <memory>
#include <mutex>
#include <variant>
#include "tricycle/kernel/feed.hpp"
#include "tricycle/op/elementwise.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// A tensor that wants a gradient, held in full precision whatever its layer computes in: float, or double after
/// to<double>(model). It can be moved but not copied, so that two layers never share weights by accident.
class Parameter {
 public:
  explicit Parameter(Tensor<float> initial) : master_(std::move(initial.require_grad())) {}
  Parameter(Parameter&&) = default;
  Parameter& operator=(Parameter&&) = default;

  /// f(master), a Tensor<float>& or Tensor<double>&.
  template <class F> decltype(auto) visit(F&& f) { return std::visit(f, master_); }
  template <class F> decltype(auto) visit(F&& f) const { return std::visit(f, master_); }

  Shape shape() const { return visit([](auto& x) { return x.shape(); }); }
  Index size() const { return shape().size(); }
  Device device() const { return visit([](auto& x) { return x.device(); }); }

  /// The numbers as T, for a layer that computes in T. A cast to 16 bits is kept until the numbers change; gradients come back in
  /// the master's own precision. Safe to call from several threads at once under NoGrad.
  template <Floating T>
  Tensor<T> as() const {
    return visit([&]<class M>(const Tensor<M>& master) -> Tensor<T> {
      if constexpr (std::same_as<T, M>) return master;
      else if constexpr (!Short<T>) return cast<T>(master);
      else {
        std::lock_guard lock(cast_->mutex);
        auto* numbers = std::get_if<Tensor<T>>(&cast_->numbers);
        if (!numbers || cast_->version != master.version() || cast_->own_version != numbers->version() || cast_->replays != replays()) {
          const bool was_recording = recording();
          NoGrad guard;
          numbers = &cast_->numbers.template emplace<Tensor<T>>(cast<T>(master));
          cast_->version = master.version();
          cast_->own_version = numbers->version();
          cast_->replays = replays();
          // Other threads may read it, in streams of their own, as soon as the lock is gone.
          if (!was_recording && !detail::is_captured(master.device())) synchronise(master.device());
        }
        return record("cast", *numbers, {{master, detail::cast_back<T, M>()}});
      }
    });
  }

  bool has_grad() const { return visit([](auto& x) { return x.has_grad(); }); }
  void zero_grad() { visit([](auto& x) { x.zero_grad(); }); }

  /// Hold the numbers in another precision from now on; the gradient is dropped.
  template <class M> requires std::same_as<M, float> || std::same_as<M, double>
  void hold_as() { replace([](auto& x) { return cast<M>(x.detach()).clone(); }); }

  /// Keep the numbers on another device from now on; the gradient is dropped. (A template, so that only who calls it compiles it.)
  void move_to(std::same_as<Device> auto device) {
    if (device != this->device()) replace([=](auto& x) { return x.detach().to(device); });
  }

  /// Take over the numbers of a tensor of the same shape.
  template <Floating T>
  void assign(const Tensor<T>& numbers) {
    check(numbers.shape() == shape(), "parameter: shape ", numbers.shape(), " does not fit into ", shape());
    visit([&]<class M>(Tensor<M>& master) { detail::convert_into(numbers.detach().to(master.device()), Gather<M>{master.mutable_data(), false}); });
  }

 private:
  template <class Made>
  void replace(Made made) {
    NoGrad guard;
    master_ = visit([&](auto& x) -> std::variant<Tensor<float>, Tensor<double>> { return made(x); });
    cast_ = std::make_unique<Cast>();
    require_grad();
  }
  struct Cast {
    std::mutex mutex;
    std::variant<std::monostate, Tensor<bf16>, Tensor<half>> numbers;   // in the type that was asked for last
    std::uint64_t version = 0, own_version = 0;          // of the master when it was cast, and of the cast, which callers hold and may write to
    std::uint64_t replays = 0;                           // when it was cast
  };
  void require_grad() { visit([](auto& x) { x.require_grad(); }); }

  std::variant<Tensor<float>, Tensor<double>> master_;
  std::unique_ptr<Cast> cast_ = std::make_unique<Cast>();
};

}
}  // namespace tricycle
