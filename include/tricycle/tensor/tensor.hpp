// Tensor: an n-dimensional grid of numbers that remembers how it was made.
#pragma once
#include <algorithm>
#include <optional>
#include <span>
#include "tricycle/core/fixed_string.hpp"
#include "tricycle/core/storage.hpp"
#include "tricycle/tensor/tape.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

template <Element T> struct Node;
template <Element T> struct BackFn;

/// May gradients flow to a tensor that the user makes? And where is it?
struct LeafOptions {
  bool requires_grad = true;
  Device device = Device::cpu;
};

/// Contiguous row-major numbers on a device plus, maybe, a memory of how they were made. A handle: copying it shares
/// both. Floating tensors take part in the tape; integer and bool tensors are data.
template <Element T>
class Tensor {
 public:
  using value_type = T;

  /// Uninitialised and without a history: what kernels write into.
  explicit Tensor(Shape shape, Device device = Device::cpu) : shape_(shape), storage_(make_storage<T>(shape.size(), device)) {}

  Tensor(const Tensor& other) : shape_(other.shape_), storage_(other.storage_), offset_(other.offset_), node_(other.node_) {
    if (auto* heard = detail::listener()) [[unlikely]] heard->push_back({data(), static_cast<std::size_t>(size()) * sizeof(T)});
  }
  Tensor(Tensor&&) = default;
  Tensor& operator=(const Tensor&) & = default;
  Tensor& operator=(Tensor&&) & = default;
  void operator=(const Tensor&) && = delete;             // x[0] = y would be lost: x[0].assign(y) writes into x
  ~Tensor() = default;

  const Shape& shape() const { return shape_; }
  Index size() const { return shape_.size(); }
  int rank() const { return shape_.rank(); }
  Device device() const { return storage_->device(); }

  const T* data() const { return storage_->data() + offset_; }

  /// The numbers, to be written in place. A gradient that still needs the old ones throws when its turn comes. Throws for a view
  /// of memory that is only to be read.
  T* mutable_data() {
    check(!storage_->read_only(), "mutable_data: a tensor of shape ", shape_, " is a view of memory that is only to be read: write to a clone()");
    ++storage_->version;
    return storage_->data() + offset_;
  }
  std::uint64_t version() const { return storage_->version; }

  /// The numbers where they are. Throws on a GPU, whose memory the host cannot read.
  std::span<const T> span() const {
    check(device().is_cpu(), "span: a tensor of shape ", shape_, " is on ", device(), ": read a copy, from_gpu()");
    return {data(), static_cast<std::size_t>(size())};
  }
  /// A copy of the numbers, from wherever they are.
  std::vector<T> to_vector() const {
    auto here = detach().from_gpu();
    return std::vector<T>(here.data(), here.data() + size());
  }

  /// The one number of a tensor of size 1. Throws for any other size. On a GPU this waits for what comes before.
  T item() const {
    check(size() == 1, "item: shape ", shape_, " does not hold exactly one number");
    return device().is_cpu() ? *data() : *detach().from_gpu().data();
  }

  /// The number at an index per axis; negative ones count from the end. Throws when out of range. Like item() on a GPU.
  template <std::integral... I>
  T at(I... index) const {
    check(sizeof...(I) == static_cast<std::size_t>(rank()), "at: ", sizeof...(I), " indices for shape ", shape_);
    Index where = 0;
    int axis = 0;
    ((where = where * shape_[axis] + checked_index(static_cast<Index>(index), axis), ++axis), ...);
    return device().is_cpu() ? data()[where] : view(Shape{}, where).item();
  }

  // ------------------------------------------------------------ devices (gradients go back the way the numbers came)

  /// The same numbers on another device; this very tensor where they are there already. From a GPU to the CPU it waits for
  /// what comes before. Throws when there is no such GPU, when it is out of memory, and what kernels have found wrong.
  Tensor to(Device device) const;
  Tensor to_gpu(int index = 0) const { return to(Device::cuda(index)); }
  Tensor from_gpu() const { return to(Device::cpu); }

  /// Take over the numbers of a tensor of the same shape, from any device, even a part of the same storage. Throws when the shape
  /// differs.
  void assign(const Tensor& numbers) {
    check(numbers.shape() == shape_, "assign: shape ", numbers.shape(), " does not fit into ", shape_);
    const Index apart = storage_ == numbers.storage_ ? offset_ - numbers.offset_ : size();
    if (apart == 0) return;
    if (!device().is_cpu() && -size() < apart && apart < size()) return assign(numbers.clone());       // a GPU copies only between places that do not overlap
    copy_bytes(mutable_data(), device(), numbers.data(), numbers.device(), static_cast<std::size_t>(size()) * sizeof(T));
  }

  // ------------------------------------------------------------ the tape

  const std::shared_ptr<Node<T>>& node() const { return node_; }
  bool requires_grad() const { return node_ != nullptr; }

  /// Make this a new leaf whose gradient is wanted; what was recorded of it before goes on without it.
  Tensor& require_grad() requires Floating<T>;

  /// Call a leaf by a name, in explain() and in errors. Throws for what is no leaf.
  Tensor& named(std::string name) requires Floating<T>;

  /// The same numbers without the history.
  Tensor detach() const { return Tensor(shape_, storage_, offset_); }

  /// Is every number as good as b's: |a - b| <= atol + rtol |b|, infinities equal, and NaN equal to NaN only if asked? The
  /// shapes must be the same; the devices need not.
  bool close_to(const Tensor& b, double rtol = 1e-4, double atol = 1e-8, bool equal_nan = false) const;

  /// A copy of the numbers, without the history.
  Tensor clone() const {
    Tensor t(shape_, device());
    t.assign(*this);
    return t;
  }

  /// The name of the op that made it, or what a leaf was called; empty for constants.
  std::string_view name() const;

  /// What it was computed from, one entry an argument; null where an argument has no gradient.
  std::vector<std::shared_ptr<const AnyNode>> args() const;

  /// For each of args(), the function that turns a gradient of this tensor into one of that argument.
  std::vector<BackFn<T>> back_fns() const;

  bool has_grad() const;
  /// What backward() gathered here. Throws when there is nothing yet.
  const Tensor& grad() const;
  void zero_grad();

  /// Put d(this)/dx into x.grad() for every leaf x that this was computed from, seeded with ones or with `grad`.
  /// Gradients add up in the leaves over several calls. Throws when nothing was recorded, when the graph was freed by an
  /// earlier call, and when a number that a gradient needs was overwritten.
  void backward(BackwardOptions options = {}) const requires Floating<T>;
  void backward(const Tensor& grad, BackwardOptions options = {}) const requires Floating<T>;

  // ------------------------------------------------------------ seen otherwise (op/layout.hpp), and parts (op/slice.hpp)

  /// The same numbers with another shape of the same size; one extent may be -1 and is worked out. Shares the storage.
  Tensor reshape(std::initializer_list<Index> extents) const;
  Tensor reshape(const Shape& to) const;

  /// Places from, from + step, ... up to but without `to` of an axis: all that follow, or go before if step < 0, when `to` is not
  /// given. Places and axis count from the end if negative. Neighbours on the first axis share the storage. Throws for places
  /// that the axis does not have.   (..., n, ...) -> (..., ceil((to - from) / step), ...)
  Tensor slice(int axis, Index from, std::optional<Index> to = {}, Index step = 1) const;

  /// Place i of the first axis, which counts from the end if negative: x[i][j] is an element. Shares the storage. Throws when
  /// it is out of range.   (n, ...) -> (...)
  Tensor operator[](Index i) const;

  /// Every number n times, along a new last axis. Throws for n < 0.   (...) -> (..., n)   dx = the sum of grad over it   (op/einsum.hpp)
  Tensor repeat(Index n) const requires Floating<T>;

  /// einsum<subscript>(*this, others...)   (op/einsum.hpp)
  template <FixedString subscript, class... Others>
  Tensor einsum(const Others&... others) const;

  /// The same numbers under another shape from element `offset` on, without a history. For ops.
  Tensor view(Shape shape, Index offset = 0) const {
    return Tensor(shape, storage_, offset_ + offset);
  }
  /// Is this the only tensor that sees its storage? Then a gradient may be added to in place.
  bool is_unique() const { return storage_.use_count() == 1; }

  /// For record() alone: give the tensor its history.
  void remember(std::shared_ptr<Node<T>> node) { node_ = std::move(node); }

  /// For view_of() alone: numbers that are somewhere already.
  Tensor(const Shape& shape, std::shared_ptr<Storage<T>> storage) : Tensor(shape, std::move(storage), 0) {}

 private:
  Tensor(const Shape& shape, std::shared_ptr<Storage<T>> storage, Index offset) : shape_(shape), storage_(std::move(storage)), offset_(offset) {}

  Index checked_index(Index i, int axis) const {
    Index n = shape_[axis];
    check(i >= -n && i < n, "at: index ", i, " is out of range for axis ", axis, " of ", shape_);
    return i < 0 ? i + n : i;
  }

  Shape shape_;
  std::shared_ptr<Storage<T>> storage_;
  Index offset_ = 0;
  std::shared_ptr<Node<T>> node_;                        // null: a constant
};

/// A tensor whose copies have numbers of their own, for what is a value: a copied optimiser, say, goes on by itself.
template <Element T>
struct Owned : Tensor<T> {
  using Tensor<T>::Tensor;
  explicit(false) Owned(Tensor<T> x) : Tensor<T>(std::move(x)) {}
  Owned(const Owned& other) : Tensor<T>(other.clone()) {}
  Owned(Owned&&) = default;
  Owned& operator=(const Owned& other) & { return *this = Owned(other); }
  Owned& operator=(Owned&&) & = default;
  ~Owned() = default;
};

/// Throws unless two operands of an op are on one device: "add: a is on cpu, but b on cuda:0".
template <Element A, Element B>
void check_together(const char* op, const char* a_name, const Tensor<A>& a, const char* b_name, const Tensor<B>& b) {
  check(a.device() == b.device(), op, ": ", a_name, " on ", a.device(), ", but ", b_name, " on ", b.device());
}

/// A tensor that a back_fn needs later: its numbers as they are now, without their history. Throws if they have been
/// overwritten when they are wanted.
template <Element T>
class Saved {
 public:
  explicit Saved(const Tensor<T>& x) : tensor_(x.detach()), version_(x.version()) {}

  const Tensor<T>& operator*() const {
    check(tensor_.version() == version_,
          "a tensor of shape ", tensor_.shape(), " that the gradient needs was overwritten in place after it was used");
    return tensor_;
  }
  const T* data() const { return (**this).data(); }

 private:
  Tensor<T> tensor_;
  std::uint64_t version_;
};

}
}  // namespace tricycle
#include "tricycle/tensor/record.hpp"
