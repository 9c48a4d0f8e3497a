// What is learnt from: which example comes when, and the batches made of them.
#pragma once
#include <algorithm>
#include <memory>
#include <span>
#include <utility>
#include <vector>
#include "tricycle/kernel/random.hpp"
#include "tricycle/tensor/tensor.hpp"
#include "tricycle/train/order.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

namespace detail {

/// How many of n the first `fraction` of them are, rounded down.
inline Index part_of(Index n, double fraction) {
  check(fraction >= 0 && fraction <= 1, "split: a fraction of ", fraction, " is not between 0 and 1");
  return static_cast<Index>(static_cast<double>(n) * fraction);
}

}  // namespace detail

/// What all datasets can: give batches, in some order, from some position on. A dataset has a type Batch, whose `inputs` have
/// the batch as their first axis, and knows how to make one of `rows` rows, empty_batch(rows), and to fill one row of it with an
/// example, copy_example(example, row, batch).
template <class Self>
class BatchReader {
 public:
  // What sets something up returns the dataset itself; of one that has no name yet, and would be gone, it returns the value.

  /// How many examples next() gives at a time; 1 unless told.
  Self& batch(Index n) & {
    check(n > 0, "dataset: a batch of ", n);
    batch_ = n;
    return self();
  }
  Self batch(Index n) && { return std::move(batch(n)); }

  /// From now on epochs come in an order drawn from the seed, or from this thread's generator; without it in reading order.
  Self& shuffle(std::uint64_t seed) & {
    order_.shuffle(seed);
    return self();
  }
  Self& shuffle() & { return shuffle(random_bits()); }
  Self shuffle(std::uint64_t seed) && { return std::move(shuffle(seed)); }
  Self shuffle() && { return std::move(shuffle()); }

  /// Batches are tensors in any case; the Python original has to be told.
  Self& to_tensor() & { return self(); }
  Self to_tensor() && { return std::move(self()); }

  /// The next batch. There always is one: a new epoch begins where the last one ends, inside of a batch if need be.
  auto next() { return take(batch_); }

  /// What is left of this epoch, batch by batch, the last of which may be shorter: for (auto [inputs, targets] : data) { … }
  auto begin() { return Pass{*this, order_.epoch_end(position_)}; }
  auto end() { return End{}; }

  /// How many examples make an epoch.
  Index size() const { return order_.size(); }
  /// The number of this epoch, from 0.
  Index epoch() const { return order_.epoch(position_); }
  Index batch_size() const { return batch_; }

  /// How many examples have been given so far. Seeking there, with the same examples and seed, continues exactly.
  Index position() const { return position_; }
  Self& seek(Index position) & {
    check(position >= 0 && position <= (std::numeric_limits<Index>::max)() / 2, "dataset: there is no position ", position);
    position_ = position;
    return self();
  }
  Self seek(Index position) && { return std::move(seek(position)); }

  /// The next examples, as many as a batch has rows, into that batch.
  template <class Batch>
  void read(Batch& batch) {
    for (Index row = 0; row < batch.inputs.shape()[0]; ++row) self().copy_example(order_.at(position_++), row, batch);
  }

 protected:
  explicit BatchReader(Index size) : order_(size) {}
  EpochOrder order_;

 private:
  struct End {};
  struct Pass {
    BatchReader& data;
    Index until;
    bool operator!=(End) const { return data.position_ < until; }
    auto operator*() { return data.take((std::min)(data.batch_, until - data.position_)); }
    void operator++() {}                                 // taking a batch is going on to the next
  };

  Self& self() { return static_cast<Self&>(*this); }
  auto take(Index rows) {
    auto batch = self().empty_batch(rows);
    read(batch);
    return batch;
  }

  Index batch_ = 1, position_ = 0;
};

/// Inputs, and the output that belongs to each.
///
///     auto data = Dataset(inputs, outputs).batch(32).shuffle(1337);      // (n, ...) and (n, ...)
///     for (int epoch = 0; epoch < 10; ++epoch)
///       for (auto [x, y] : data) { … }                                   // (32, ...) and (32, ...)
///
/// Copies share the numbers, and read on independently.
template <Element X = float, Element Y = float>
class Dataset : public BatchReader<Dataset<X, Y>> {
 public:
  struct Batch {
    Tensor<X> inputs;
    Tensor<Y> outputs;
  };

  /// Throws unless both have the same number of examples, one at least, along their first axis.
  Dataset(const Tensor<X>& inputs, const Tensor<Y>& outputs)
      : BatchReader<Dataset>(inputs.rank() > 0 ? inputs.shape()[0] : 0), all_{inputs.detach().from_gpu(), outputs.detach().from_gpu()} {
    check(outputs.rank() > 0 && outputs.shape()[0] == inputs.shape()[0], "dataset: outputs of shape ", outputs.shape(), " for inputs of shape ", inputs.shape());
  }

  /// One example, without the batch's axis. Throws when there is none of that number.
  Batch operator[](Index i) const {
    check(i >= 0 && i < this->size(), "dataset: there is no example ", i, " of ", this->size());
    auto part = [&](auto& x) { return x.view(inner(x), i * inner(x).size()).clone(); };
    return {part(all_.inputs), part(all_.outputs)};
  }

  /// The first `fraction` of the examples, rounded down, and the rest. Throws when one of them has none.
  std::pair<Dataset, Dataset> split(double fraction) const {
    const Index n = this->size(), first = detail::part_of(n, fraction);
    auto part = [](auto& x, Index from, Index to) { return x.view(x.shape().with(0, to - from), from * inner(x).size()); };
    auto rows = [&](Index from, Index to) { return Dataset(part(all_.inputs, from, to), part(all_.outputs, from, to)); };
    return {rows(0, first), rows(first, n)};
  }

  Batch empty_batch(Index rows) const { return {Tensor<X>(all_.inputs.shape().with(0, rows)), Tensor<Y>(all_.outputs.shape().with(0, rows))}; }
  void copy_example(Index example, Index row, Batch& batch) const {
    auto copy = [&](const auto& from, auto& to) { std::copy_n(from.data() + example * inner(from).size(), inner(from).size(), to.mutable_data() + row * inner(from).size()); };
    copy(all_.inputs, batch.inputs), copy(all_.outputs, batch.outputs);
  }

 private:
  static Shape inner(const auto& x) { return x.shape().slice(1, x.rank()); }

  Batch all_;
};

/// Batches without end, each of examples drawn from all of them. Batch number i is the same whatever came before.
template <Element X = float, Element Y = float>
class InfiniteBatchDataset : public Dataset<X, Y> {
 public:
  InfiniteBatchDataset(const Tensor<X>& inputs, const Tensor<Y>& outputs, Index batch_size, std::uint64_t seed = 0) : Dataset<X, Y>(inputs, outputs) {
    this->batch(batch_size);
    this->order_.draw(seed);
  }
};

/// Ids wherever they are: in a vector, or in memory that somebody keeps, such as a file of 16- or 32-bit numbers that is mapped.
/// Copies and parts share them.
class Tokens {
 public:
  explicit Tokens(std::vector<int> ids) : Tokens(std::make_shared<const std::vector<int>>(std::move(ids))) {}
  /// `owner`: what keeps the numbers alive.
  template <std::integral Id> requires (sizeof(Id) <= sizeof(int))
  Tokens(std::span<const Id> ids, std::shared_ptr<const void> owner) : ids_(ids.data()), size_(static_cast<Index>(ids.size())), read_(read<Id>), owner_(std::move(owner)) {}

  Index size() const { return size_; }

  /// ids[first] ... ids[first + n - 1]. Throws when they are not all there.
  void copy(Index first, Index n, int* to) const {
    check_part(first, n);
    read_(ids_, first_ + first, n, to);
  }
  /// The same ones as Tokens of their own, without a copy.
  Tokens part(Index first, Index n) const {
    check_part(first, n);
    Tokens some = *this;
    some.first_ += first, some.size_ = n;
    return some;
  }

 private:
  explicit Tokens(const std::shared_ptr<const std::vector<int>>& ids) : Tokens(std::span<const int>(*ids), ids) {}

  template <class Id>
  static void read(const void* ids, Index first, Index n, int* to) {
    const Id* from = static_cast<const Id*>(ids) + first;
    std::transform(from, from + n, to, [](Id id) { return static_cast<int>(id); });
  }
  void check_part(Index first, Index n) const { check(first >= 0 && n >= 0 && first <= size() - n, "tokens: ", n, " from number ", first, " on, of ", size()); }

  const void* ids_;
  Index first_ = 0, size_;
  void (*read_)(const void* ids, Index first, Index n, int* to);         // which knows their type
  std::shared_ptr<const void> owner_;
};

/// The sizes of a dataset for language models, as the Python original names them.
struct CausalLMOptions {
  Index vocab_size, batch_size, context_window;
};

/// Batches for learning to tell the next token: targets are the inputs, one token on. An example is a window of context + 1
/// tokens; one begins at each token that has `context` tokens after it.
///
///     auto data = CausalLMDataset(tokens, context).batch(12).shuffle(1337);
///     auto [inputs, targets] = data.next();                              // (12, context) each
///
/// Copies share the tokens, and read on independently.
class CausalLMDataset : public BatchReader<CausalLMDataset> {
 public:
  struct Batch {
    Tensor<int> inputs, targets;                         // (batch, context) each
  };

  /// Throws when the text is shorter than context + 1 tokens.
  CausalLMDataset(Tokens tokens, Index context) : BatchReader(n_examples(tokens, context)), tokens_(std::move(tokens)), context_(context) {}
  CausalLMDataset(std::vector<int> tokens, Index context) : CausalLMDataset(Tokens(std::move(tokens)), context) {}

  /// CausalLMDataset(tokens, {.vocab_size = 65, .batch_size = 12, .context_window = 64}).batch().shuffle().to_tensor()
  /// Throws for a token outside the vocabulary, too.
  CausalLMDataset(const std::vector<int>& tokens, const CausalLMOptions& options) : CausalLMDataset(tokens, options.context_window) {
    for (std::size_t i = 0; i < tokens.size(); ++i)
      check(tokens[i] >= 0 && tokens[i] < options.vocab_size, "dataset: token ", tokens[i], " at position ", i, " is not in [0, ", options.vocab_size, ")");
    check(options.batch_size > 0, "dataset: a batch of ", options.batch_size);
    batch_size_ = options.batch_size;
  }
  using BatchReader::batch;
  CausalLMDataset& batch() & { return batch(batch_size_); }
  CausalLMDataset batch() && { return std::move(batch()); }

  Index context() const { return context_; }

  /// For measuring a loss over the whole text once: how many windows there are side by side, a last part window left out.
  Index n_windows() const { return (tokens_.size() - 1) / context_; }

  /// Up to `count` of those windows from number `first` on; fewer at the end. Throws when there is none.
  ///
  ///     for (Index i = 0; i < data.n_windows(); i += 12) { auto [inputs, targets] = data.windows(i, 12); … }
  Batch windows(Index first, Index count) const {
    check(count > 0 && first >= 0 && first < n_windows(), "dataset: ", count, " windows from number ", first, " on, of ", n_windows());
    auto batch = empty_batch((std::min)(count, n_windows() - first));
    for (Index row = 0; row < batch.inputs.shape()[0]; ++row) copy_example((first + row) * context_, row, batch);
    return batch;
  }

  Batch empty_batch(Index rows) const { return {Tensor<int>(Shape{rows, context_}), Tensor<int>(Shape{rows, context_})}; }
  void copy_example(Index start, Index row, Batch& batch) const {
    tokens_.copy(start, context_, batch.inputs.mutable_data() + row * context_);
    tokens_.copy(start + 1, context_, batch.targets.mutable_data() + row * context_);
  }

 private:
  static Index n_examples(const Tokens& tokens, Index context) {
    check(context > 0, "dataset: a context of ", context);
    check(tokens.size() > context, "dataset: a text of ", tokens.size(), " tokens is too short for a context of ", context, ", which needs one more");
    return tokens.size() - context;
  }

  Tokens tokens_;
  Index context_, batch_size_ = 1;
};

/// What is trained on, and what is held back to validate with.
template <class Ids>
struct SplitTokens {
  Ids train, validation;
};

/// The first `fraction` of the tokens, rounded down, and the rest.
inline SplitTokens<std::vector<int>> split(const std::vector<int>& tokens, double fraction) {
  auto middle = tokens.begin() + detail::part_of(static_cast<Index>(tokens.size()), fraction);
  return {{tokens.begin(), middle}, {middle, tokens.end()}};
}
/// Without a copy, of a file that is mapped, too.
inline SplitTokens<Tokens> split(const Tokens& tokens, double fraction) {
  const Index first = detail::part_of(tokens.size(), fraction);
  return {tokens.part(0, first), tokens.part(first, tokens.size() - first)};
}

}
}  // namespace tricycle
