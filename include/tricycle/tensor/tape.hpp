// The tape: who made each tensor, from what, and how a gradient travels back.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>
#include "tricycle/core/device.hpp"
#include "tricycle/core/memory.hpp"
#include "tricycle/core/shape.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// How backward() goes through the graph.
struct BackwardOptions {
  bool retain_graph = false;                             // may it be walked again?
  std::optional<double> clip{};                          // every number that an op sends to an argument is cut to [-clip, clip], then added up
};

namespace detail {

/// Numbers that a back_fn keeps alive.
struct Held { const void* at; std::size_t bytes; };

/// Copies of tensors say what they hold here, while someone listens: explain() copies back_fns, and so learns what is in them.
TRICYCLE_PROCESS_WIDE inline std::vector<Held>*& listener() {
  thread_local std::vector<Held>* here = nullptr;
  return here;
}

}  // namespace detail

/// What is remembered of one tensor: its name and shape, and what it was computed from. This is the part that
/// backward() walks, whatever the element type; Node<T> adds the gradient and the functions that send it on.
struct AnyNode {
  std::vector<std::shared_ptr<AnyNode>, memory::Allocator<std::shared_ptr<AnyNode>>> args;
  bool freed = false;                                    // has a backward() given its activations back?
  bool several = false;                                  // does it stand for all results of an op, each of which has a node of its own?
  Device device = Device::cpu;
  std::string name;
  Shape shape;

  AnyNode() = default;
  AnyNode(const AnyNode&) = delete;
  AnyNode& operator=(const AnyNode&) = delete;

  /// Frees what only this node kept alive, one after the other: a long chain must not recurse.
  virtual ~AnyNode() {
    for (auto doomed = std::move(args); !doomed.empty();) {
      auto node = std::move(doomed.back());
      doomed.pop_back();
      if (node && node.use_count() == 1) {
        for (auto& arg : node->args) doomed.push_back(std::move(arg));
        node->args.clear();
      }
    }
  }

  virtual bool is_leaf() const = 0;
  virtual const char* dtype() const = 0;
  virtual void propagate(const BackwardOptions&) = 0;    // send my gradient to each arg; unless the graph is retained, forget how
  virtual void begin_walk() noexcept = 0;                // drop what a walk that threw may have left
  /// Let `send` bring the gradient that goes by the edge `from`.args[i], by itself, so that it can be looked at and clipped.
  virtual void receive(const std::function<void()>& send, const AnyNode& from, std::size_t i, const BackwardOptions&) = 0;
  virtual std::vector<detail::Held> held() const = 0;    // what my back_fns keep alive

  friend std::ostream& operator<<(std::ostream& out, const AnyNode& node) {
    if (!node.is_leaf()) out << node.name;
    else out << "leaf" << (node.name.empty() ? "" : " ") << node.name;
    return out << ' ' << node.shape << ' ' << node.dtype();
  }

 private:
  friend void walk_back(std::shared_ptr<AnyNode>, const BackwardOptions&);
  std::uint64_t walk_ = 0;                               // the last walk that met this node
  int waiting_ = 0;                                      // consumers whose gradient has not come yet in that walk
};

TRICYCLE_PROCESS_WIDE inline bool& recording() {
  thread_local bool on = true;
  return on;
}

/// While one of these is alive, this thread records nothing.
class NoGrad {
 public:
  [[nodiscard]] NoGrad() = default;
  ~NoGrad() { recording() = before_; }
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool before_ = std::exchange(recording(), false);
};

/// Let every node under `root` propagate, each one after everything that was computed from it (Kahn's order). Walks are
/// numbered, and a node starts afresh in each: so one that a back_fn broke off by throwing needs no tidying up.
inline void walk_back(std::shared_ptr<AnyNode> root, const BackwardOptions& options) {
  static std::atomic<std::uint64_t> walks = std::uint64_t{reinterpret_cast<std::uintptr_t>(&walks)} << 16;   // a shared library's own begin elsewhere
  const std::uint64_t walk = ++walks;

  for (std::vector<AnyNode*> found{root.get()}; !found.empty();) {
    AnyNode* node = found.back();
    found.pop_back();
    check(!node->freed, "backward: the graph of \"", node->name, "\" was freed by an earlier backward(); ask that one for {.retain_graph = true}");
    for (auto& arg : node->args) {
      if (!arg) continue;
      if (std::exchange(arg->walk_, walk) != walk) {
        arg->waiting_ = 0;
        arg->begin_walk();
        found.push_back(arg.get());
      }
      ++arg->waiting_;
    }
  }

  for (std::vector<std::shared_ptr<AnyNode>> ready{std::move(root)}; !ready.empty();) {
    auto node = std::move(ready.back());
    ready.pop_back();
    node->propagate(options);
    for (auto& arg : node->args)
      if (arg && --arg->waiting_ == 0) ready.push_back(node->freed ? std::move(arg) : arg);
    if (node->freed) node->args.clear();
  }
}

}
}  // namespace tricycle
