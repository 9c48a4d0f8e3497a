// The tape: who made each tensor, from what, and how a gradient travels back.
#pragma once
#include <functional>
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
  std::string name;
  Shape shape;
  Device device = Device::cpu;
  std::vector<std::shared_ptr<AnyNode>, memory::Allocator<std::shared_ptr<AnyNode>>> args;
  bool freed = false;                                    // has a backward() given its activations back?

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
  virtual void drop_gradient() noexcept = 0;

  friend std::ostream& operator<<(std::ostream& out, const AnyNode& node) {
    return out << (node.is_leaf() ? "leaf" : node.name.c_str()) << ' ' << node.shape << ' ' << node.dtype();
  }

 private:
  friend void walk_back(std::shared_ptr<AnyNode>, bool);
  int waiting_ = 0;                                      // consumers whose gradient has not come yet, during a walk
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

/// Let every node under `root` propagate, each one after everything that was computed from it (Kahn's order). When a
/// back_fn throws, the gradients under way are dropped and the nodes are ready for another walk.
inline void walk_back(std::shared_ptr<AnyNode> root, bool retain) {
  check(!root->freed, "backward: the graph of \"", root->name, "\" was freed by an earlier backward(); ask that one for {.retain_graph = true}");
  std::vector<std::shared_ptr<AnyNode>> ready{root};
  std::vector<AnyNode*> found{root.get()};
  auto undo = [&] {                                      // what still waits is reached from what was ready
    for (auto& node : ready) found.push_back(node.get());
    for (auto& node : ready) node->waiting_ = 1;
    while (!found.empty()) {
      AnyNode* node = found.back();
      found.pop_back();
      if (node->waiting_ == 0) continue;
      node->waiting_ = 0;
      if (!node->is_leaf()) node->drop_gradient();
      for (auto& arg : node->args)
        if (arg) found.push_back(arg.get());
    }
  };

  root->waiting_ = 1;
  try {
    while (!found.empty()) {
      AnyNode* node = found.back();
      found.pop_back();
      for (auto& arg : node->args)
        if (arg && arg->waiting_++ == 0) {
          found.push_back(arg.get());
          check(!arg->freed, "backward: the graph of \"", arg->name, "\" was freed by an earlier backward(); ask that one for {.retain_graph = true}");
        }
    }
    root->waiting_ = 0;
    while (!ready.empty()) {
      AnyNode& node = *ready.back();
      node.propagate(retain);
      auto args = node.freed ? std::move(node.args) : node.args;
      ready.pop_back();
      for (auto& arg : args)
        if (arg && --arg->waiting_ == 0) ready.push_back(std::move(arg));
    }
  } catch (...) {
    undo();
    throw;
  }
}

}
}  // namespace tricycle
