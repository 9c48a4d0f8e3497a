// The tape: who made each tensor, from what, and how a gradient travels back.
#pragma once
#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>
#include "tricycle/core/device.hpp"
#include "tricycle/core/memory.hpp"
#include "tricycle/core/shape.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// What is remembered of one tensor: its name and shape, and what it was computed from. This is the part that
/// backward() walks, whatever the element type; Node<T> adds the gradient and the functions that send it on.
struct AnyNode {
  std::vector<std::shared_ptr<AnyNode>, memory::Allocator<std::shared_ptr<AnyNode>>> args;
  bool freed = false;                                    // has a backward() given its activations back?
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
  virtual void propagate(bool retain) = 0;               // send my gradient to each arg; unless `retain`, forget how
  virtual void begin_walk() noexcept = 0;                // drop what a walk that threw may have left

  friend std::ostream& operator<<(std::ostream& out, const AnyNode& node) {
    return out << (node.is_leaf() ? "leaf" : node.name.c_str()) << ' ' << node.shape << ' ' << node.dtype();
  }

 private:
  friend void walk_back(std::shared_ptr<AnyNode>, bool);
  std::uint64_t walk_ = 0;                               // the last walk that met this node
  int waiting_ = 0;                                      // consumers whose gradient has not come yet in that walk
};

inline bool& recording() {
  thread_local bool on = true;
  return on;
}

/// While one of these is alive, this thread records nothing.
class NoGrad {
 public:
  NoGrad() = default;
  ~NoGrad() { recording() = before_; }
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool before_ = std::exchange(recording(), false);
};

/// Let every node under `root` propagate, each one after everything that was computed from it (Kahn's order). Walks are
/// numbered, and a node starts afresh in each: so one that a back_fn broke off by throwing needs no tidying up.
inline void walk_back(std::shared_ptr<AnyNode> root, bool retain) {
  static std::atomic<std::uint64_t> walks = 0;
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
    node->propagate(retain);
    for (auto& arg : node->args)
      if (arg && --arg->waiting_ == 0) ready.push_back(node->freed ? std::move(arg) : arg);
    if (node->freed) node->args.clear();
  }
}

}
}  // namespace tricycle
