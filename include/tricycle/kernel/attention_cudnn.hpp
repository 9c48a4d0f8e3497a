// cuDNN's fused attention: what it is told of one, the plan that it makes of that, and the run. For who links tricycle::cudnn.
#pragma once
#include "tricycle/kernel/flash_back.hpp"
#if defined(TRICYCLE_CUDA) && defined(TRICYCLE_CUDNN)
#include <cudnn.h>
#include <deque>
#include <optional>
#include <span>
#if CUDNN_VERSION < 92100
#error "tricycle::cudnn: this cuDNN is older than 9.21"
#endif

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace gpu {

/// Throw unless cuDNN did what it was asked.
template <class... What>
void check(cudnnStatus_t status, const What&... what) {
  if (status == CUDNN_STATUS_SUCCESS) [[likely]] return;
  char words[512] = "";
  cudnnGetLastErrorString(words, sizeof words);
  fail("cudnn: ", what..., ": ", cudnnGetErrorString(status), words[0] ? ": " : "", words);
}

/// How cuDNN is used, by the whole process. Its gradients are added up by atomics, in whatever order they come: then bits
/// differ from run to run. Before 9.28 it has none.
struct CudnnOptions {
  bool attention = true, gradients = false;
};
inline CudnnOptions& cudnn_options() {
  static CudnnOptions options;
  return options;
}

namespace detail {

/// How cuDNN calls the type of some values. Its descriptors are void*, so addresses of numbers must be const void*.
constexpr auto kind_of(const bool*) { return CUDNN_TYPE_BOOLEAN; }
constexpr auto kind_of(const std::int64_t*) { return CUDNN_TYPE_INT64; }
constexpr auto kind_of(const cudnnDataType_t*) { return CUDNN_TYPE_DATA_TYPE; }
constexpr auto kind_of(const cudnnPointwiseMode_t*) { return CUDNN_TYPE_POINTWISE_MODE; }
constexpr auto kind_of(const cudnnBackendHeurMode_t*) { return CUDNN_TYPE_HEUR_MODE; }
constexpr auto kind_of(const cudnnBackendNumericalNote_t*) { return CUDNN_TYPE_NUMERICAL_NOTE; }
constexpr auto kind_of(const cudnnHandle_t*) { return CUDNN_TYPE_HANDLE; }
constexpr auto kind_of(const cudnnBackendDescriptor_t*) { return CUDNN_TYPE_BACKEND_DESCRIPTOR; }
constexpr auto kind_of(const void* const*) { return CUDNN_TYPE_VOID_PTR; }

/// One of cuDNN's descriptors: its attributes are set one by one, and it counts once it is finalised.
class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type) { check(cudnnBackendCreateDescriptor(type, &made_), "cudnnBackendCreateDescriptor"); }
  ~Descriptor() { cudnnBackendDestroyDescriptor(made_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  template <class Value>
  Descriptor& set(cudnnBackendAttributeName_t name, const Value* values, std::int64_t count) {
    return check(cudnnBackendSetAttribute(made_, name, kind_of(values), count, values), "cudnnBackendSetAttribute ", static_cast<int>(name)), *this;
  }
  template <class Value>
  Descriptor& set(cudnnBackendAttributeName_t name, Value value) { return set(name, &value, 1); }
  Descriptor& set(cudnnBackendAttributeName_t name, const Descriptor& other) { return set(name, other.made_); }

  /// Up to `most` values; how many there are.
  template <class Value>
  std::int64_t get(cudnnBackendAttributeName_t name, Value* values, std::int64_t most) const {
    std::int64_t count = 0;
    check(cudnnBackendGetAttribute(made_, name, kind_of(values), most, &count, values), "cudnnBackendGetAttribute ", static_cast<int>(name));
    return count;
  }

  Descriptor& finalise() { return check(cudnnBackendFinalize(made_), "attention"), *this; }
  /// False if cuDNN does not support what this describes.
  bool finalise_if_supported() {
    const auto status = cudnnBackendFinalize(made_);
    if (CUDNN_STATUS_CATEGORY(status) == CUDNN_STATUS_NOT_SUPPORTED) return false;
    check(status, "attention");
    return true;
  }
  cudnnBackendDescriptor_t get() const { return made_; }

 private:
  cudnnBackendDescriptor_t made_ = nullptr;
};

/// What tells one kind of attention from another. Strides are those of (batch, head, token, number).
struct AttentionKind {
  using Four = std::array<std::int64_t, 4>;
  Four sizes, q, k, v;                                   // sizes: batch, heads, queries, keys
  std::int64_t size;                                     // of a head
  bool causal, back;
  cudnnDataType_t type;
  auto operator<=>(const AttentionKind&) const = default;
};

/// The numbers that cuDNN knows an attention's tensors by, and where one of them is: on the GPU, or a number on the host.
enum class Operand : std::int64_t { q = 1, k, v, y, logs, scale, unseen, dy, dq, dk, dv, scores, seen_scores, rows, weights };
struct Bound { Operand operand; const void* at; };

/// cuDNN's plan for one kind of attention, or none. It takes a second to make: the kernel is compiled then.
class AttentionPlan {
 public:
  /// For the GPU of the handle or, without one, for that which `gpu` describes.
  AttentionPlan(const AttentionKind& kind, cudnnHandle_t handle, const Descriptor* gpu = nullptr) : a_(kind) {
    auto& attention = a_.back ? backward() : forward();
    if (!attention.finalise_if_supported()) return;
    auto& graph = add(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR).set(CUDNN_ATTR_OPERATIONGRAPH_OPS, attention);
    if (handle) graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, handle);
    if (!graph.finalise_if_supported()) return;
    auto& ranking = add(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR).set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph).set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_HEUR_MODE_A);
    if (gpu) ranking.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *gpu);
    if (!ranking.finalise_if_supported()) return;
    std::array<cudnnBackendDescriptor_t, 8> found;
    for (auto& one : found) one = add(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR).get();
    const auto count = (std::min)(ranking.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, found.data(), std::ssize(found)), std::ssize(found));
    for (auto i = found.begin(); i != found.begin() + count && !plan_; ++i) {
      if (!a_.back && varies(*i)) continue;
      auto& plan = add(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR).set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, *i);
      if (handle) plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, handle);
      if (gpu) plan.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, *gpu);
      if (!plan.finalise_if_supported()) continue;
      plan.get(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, &workspace_bytes_, 1);
      plan_ = &plan;
    }
  }
  explicit operator bool() const { return plan_ != nullptr; }

  void run(Device device, cudnnHandle_t handle, std::span<const Bound> operands) const {
    static constexpr float minus_infinity = -__builtin_huge_valf();
    std::vector<std::int64_t> numbers;
    std::vector<const void*> places;
    for (auto [operand, at] : operands) numbers.push_back(static_cast<std::int64_t>(operand)), places.push_back(at);
    if (a_.causal) numbers.push_back(static_cast<std::int64_t>(Operand::unseen)), places.push_back(&minus_infinity);
    Scratch<char> workspace(workspace_bytes_, device);
    Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, numbers.data(), std::ssize(numbers)).set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, places.data(), std::ssize(places));
    pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, static_cast<const void*>(workspace.data())).finalise();
    check(cudnnBackendExecute(handle, plan_->get(), pack.get()), "attention");
  }

 private:
  using Four = AttentionKind::Four;
  using Name = cudnnBackendAttributeName_t;

  Descriptor& add(cudnnBackendDescriptorType_t type) { return parts_.emplace_back(type); }

  Descriptor& tensor(Operand operand, cudnnDataType_t type, const Four& sizes, const Four& strides, std::optional<Name> instead_of_memory = {}) {
    auto& t = add(CUDNN_BACKEND_TENSOR_DESCRIPTOR).set(CUDNN_ATTR_TENSOR_UNIQUE_ID, static_cast<std::int64_t>(operand)).set(CUDNN_ATTR_TENSOR_DATA_TYPE, type);
    t.set(CUDNN_ATTR_TENSOR_DIMENSIONS, sizes.data(), 4).set(CUDNN_ATTR_TENSOR_STRIDES, strides.data(), 4).set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, std::int64_t{16});
    if (instead_of_memory) t.set(*instead_of_memory, true);
    return t.finalise();
  }
  Descriptor& number(Operand operand) { return tensor(operand, CUDNN_DATA_FLOAT, {1, 1, 1, 1}, {1, 1, 1, 1}, CUDNN_ATTR_TENSOR_IS_BY_VALUE); }
  Descriptor& of_queries(Operand operand, const Four& strides) { return tensor(operand, a_.type, {a_.sizes[0], a_.sizes[1], a_.sizes[2], a_.size}, strides); }
  Descriptor& of_keys(Operand operand, const Four& strides) { return tensor(operand, a_.type, {a_.sizes[0], a_.sizes[1], a_.sizes[3], a_.size}, strides); }
  Descriptor& result(Operand operand) { return of_queries(operand, {a_.sizes[2] * a_.sizes[1] * a_.size, a_.size, a_.sizes[1] * a_.size, 1}); }
  /// The log of the sum of e^(scale score), of each query.
  Descriptor& logs() {
    const auto [batch, heads, queries, keys] = a_.sizes;
    return tensor(Operand::logs, CUDNN_DATA_FLOAT, {batch, heads, queries, 1}, {heads * queries, queries, 1, 1});
  }
  /// A number for each query and key, which no memory ever holds.
  Descriptor& pairs(Operand operand) {
    const auto [batch, heads, queries, keys] = a_.sizes;
    return tensor(operand, CUDNN_DATA_FLOAT, a_.sizes, {heads * queries * keys, queries * keys, keys, 1}, CUDNN_ATTR_TENSOR_IS_VIRTUAL);
  }

  /// What is done to scores before softmax, a graph of its own: those of keys that come after the query become `unseen`.
  void mask(Descriptor& attention, Name graph, Name in, Name out) {
    if (!a_.causal) return;
    auto& band = add(CUDNN_BACKEND_OPERATION_DIAGONAL_BAND_MASK_DESCRIPTOR).set(CUDNN_ATTR_OPERATION_DIAGONAL_BAND_MASK_XDESC, pairs(Operand::scores));
    band.set(CUDNN_ATTR_OPERATION_DIAGONAL_BAND_MASK_YDESC, pairs(Operand::seen_scores)).set(CUDNN_ATTR_OPERATION_DIAGONAL_BAND_MASK_BDESC, number(Operand::unseen));
    band.set(CUDNN_ATTR_OPERATION_DIAGONAL_BAND_MASK_COMPARISON_MODE, CUDNN_POINTWISE_CMP_GE).finalise();
    attention.set(graph, add(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR).set(CUDNN_ATTR_OPERATIONGRAPH_OPS, band).finalise());
    attention.set(in, static_cast<std::int64_t>(Operand::scores)).set(out, static_cast<std::int64_t>(Operand::seen_scores));
  }
  Descriptor& forward() {
    auto& softmax = add(CUDNN_BACKEND_OPERATION_SOFTMAX_DESCRIPTOR).set(CUDNN_ATTR_OPERATION_SOFTMAX_XDESC, pairs(Operand::rows));
    softmax.set(CUDNN_ATTR_OPERATION_SOFTMAX_YDESC, pairs(Operand::weights)).set(CUDNN_ATTR_OPERATION_SOFTMAX_STATS_DESC, logs()).finalise();
    auto& attention = add(CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR).set(CUDNN_ATTR_OPERATION_SDPA_FWD_SOFTMAX_DESC, softmax);
    attention.set(CUDNN_ATTR_OPERATION_SDPA_FWD_QDESC, of_queries(Operand::q, a_.q)).set(CUDNN_ATTR_OPERATION_SDPA_FWD_KDESC, of_keys(Operand::k, a_.k));
    attention.set(CUDNN_ATTR_OPERATION_SDPA_FWD_VDESC, of_keys(Operand::v, a_.v)).set(CUDNN_ATTR_OPERATION_SDPA_FWD_ODESC, result(Operand::y));
    attention.set(CUDNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC, number(Operand::scale));
    mask(attention, CUDNN_ATTR_OPERATION_SDPA_FWD_SUBGRAPH, CUDNN_ATTR_OPERATION_SDPA_FWD_SUBGRAPH_INPUT_UID, CUDNN_ATTR_OPERATION_SDPA_FWD_SUBGRAPH_OUTPUT_UID);
    return attention;
  }
  Descriptor& backward() {
    auto& attention = add(CUDNN_BACKEND_OPERATION_SDPA_BWD_DESCRIPTOR).set(CUDNN_ATTR_OPERATION_SDPA_BWD_STATSDESC, logs());
    attention.set(CUDNN_ATTR_OPERATION_SDPA_BWD_QDESC, of_queries(Operand::q, a_.q)).set(CUDNN_ATTR_OPERATION_SDPA_BWD_KDESC, of_keys(Operand::k, a_.k));
    attention.set(CUDNN_ATTR_OPERATION_SDPA_BWD_VDESC, of_keys(Operand::v, a_.v)).set(CUDNN_ATTR_OPERATION_SDPA_BWD_ODESC, result(Operand::y));
    attention.set(CUDNN_ATTR_OPERATION_SDPA_BWD_DQDESC, of_queries(Operand::dq, a_.q)).set(CUDNN_ATTR_OPERATION_SDPA_BWD_DKDESC, of_keys(Operand::dk, a_.k));
    attention.set(CUDNN_ATTR_OPERATION_SDPA_BWD_DVDESC, of_keys(Operand::dv, a_.v)).set(CUDNN_ATTR_OPERATION_SDPA_BWD_DODDESC, result(Operand::dy));
    attention.set(CUDNN_ATTR_OPERATION_SDPA_BWD_SCALEDESC, number(Operand::scale));
    mask(attention, CUDNN_ATTR_OPERATION_SDPA_BWD_SUBGRAPH, CUDNN_ATTR_OPERATION_SDPA_BWD_SUBGRAPH_INPUT_UID, CUDNN_ATTR_OPERATION_SDPA_BWD_SUBGRAPH_OUTPUT_UID);
    return attention;
  }

  /// Does cuDNN say that its bits differ from run to run? (Of the gradients' kernels, which have float atomics, it does not.)
  static bool varies(cudnnBackendDescriptor_t config) {
    Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    auto made = engine.get();
    check(cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, nullptr, &made), "cudnnBackendGetAttribute");
    std::array<cudnnBackendNumericalNote_t, CUDNN_NUMERICAL_NOTE_TYPE_COUNT> notes;
    const auto end = notes.begin() + engine.get(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, notes.data(), std::ssize(notes));
    return std::find(notes.begin(), end, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC) != end;
  }

  AttentionKind a_;
  std::deque<Descriptor> parts_;                         // all that the plan was made of
  Descriptor* plan_ = nullptr;
  std::int64_t workspace_bytes_ = 0;
};

/// cuDNN's handle for a context, and the plans that were made before.
struct Dnn {
  cudnnHandle_t handle = nullptr;
  std::map<AttentionKind, AttentionPlan> plans;

  /// What it is asked next goes into the context's stream.
  static Dnn& of(Context& context) {
    if (!context.dnn) {
      tricycle::check(cudnnGetVersion() >= 92100, "cudnn: attention needs version 9.21.0 (92100) or newer, and the library that was found is ", cudnnGetVersion());
      auto fresh = std::make_shared<Dnn>();
      check(cudnnCreate(&fresh->handle), "cudnnCreate");
      context.dnn = fresh;
    }
    auto& dnn = *static_cast<Dnn*>(context.dnn.get());
    check(cudnnSetStream(dnn.handle, context.stream), "cudnnSetStream");
    return dnn;
  }
  const AttentionPlan& plan(const AttentionKind& kind) { return plans.try_emplace(kind, kind, handle).first->second; }
};

}  // namespace detail
}  // namespace gpu

namespace kernel {
namespace detail {

/// Where cuDNN, which has (batch, heads, queries), keeps number i of our (batch, queries, heads).
struct HeadsFirst {
  Index heads, queries;
  TRICYCLE_HD Index operator()(Index i) const { return (i / heads / queries * heads + i % heads) * queries + i / heads % queries; }
};
/// What flash_back() wants of each query, from what cuDNN keeps of it; and that again.
struct TotalsOfLogs {
  HeadsFirst at; const float* logs; RowTotal* totals;
  TRICYCLE_HD void operator()(Index i) const { totals[i] = {logs[at(i)] * 1.44269504f, 1}; }         // log2 e
};
struct LogsOfTotals {
  HeadsFirst at; const RowTotal* totals; float* logs;
  TRICYCLE_HD void operator()(Index i) const { logs[at(i)] = totals[i].top * 0.693147181f - math::log(totals[i].share); }       // ln 2
};

/// Is this for cuDNN to judge? It has no float; its dropout is not ours; its mask begins at the first query, as ours does of as
/// many queries as keys; and its kernels read 16 bytes at once.
template <class T, class... Operands>
bool is_for_cudnn(const Attention& a, float scale, const Operands&... operands) {
  return gpu::cudnn_options().attention && sizeof(T) == 2 && a.dropout == 0 && (!a.causal || a.queries == a.keys) && scale > 0 && a.batch > 0 && a.heads > 0 && a.queries > 0 && a.keys > 0 && (wide_access(a.size, operands) && ...);
}

template <class T>
gpu::detail::AttentionKind attention_kind(const Attention& a, const Heads<const T>& q, const Heads<const T>& k, const Heads<const T>& v, bool back) {
  auto strides = [](const Heads<const T>& x) { return std::array<std::int64_t, 4>{x.batch, x.head, x.token, 1}; };
  return {{a.batch, a.heads, a.queries, a.keys}, strides(q), strides(k), strides(v), a.size, a.causal, back, std::same_as<T, bf16> ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_HALF};
}

}  // namespace detail

/// What flash() does, by cuDNN; false, with nothing done, where that cannot. `out` is contiguous.
template <class T>
bool flash_by_cudnn(Device device, const Attention& a, float scale, Heads<const T> q, Heads<const T> k, Heads<const T> v, Heads<T> out, RowTotal* totals) {
  using gpu::detail::Operand;
  if (!detail::is_for_cudnn<T>(a, scale, q, k, v)) return false;
  gpu::Use on(device);
  auto& dnn = gpu::detail::Dnn::of(gpu::context(device));
  const auto& plan = dnn.plan(detail::attention_kind(a, q, k, v, false));
  if (!plan) return false;
  gpu::Scratch<float> logs(a.batch * a.heads * a.queries, device);
  const gpu::detail::Bound operands[] = {{Operand::q, q.at}, {Operand::k, k.at}, {Operand::v, v.at}, {Operand::y, out.at}, {Operand::logs, logs.data()}, {Operand::scale, &scale}};
  plan.run(device, dnn.handle, operands);
  each(device, a.batch * a.heads * a.queries, detail::TotalsOfLogs{{a.heads, a.queries}, logs.data(), totals});
  return true;
}

/// What FlashBack does, by cuDNN, where that is wanted; false, with nothing done, where it cannot.
template <class T>
bool flash_back_by_cudnn(Device device, const Attention& a, float scale, Heads<const T> q, Heads<const T> k, Heads<const T> v, Heads<const T> out, Heads<const T> grad, const RowTotal* totals,
                         GatherHeads<T> dq, GatherHeads<T> dk, GatherHeads<T> dv) {
  using gpu::detail::Operand;
  if (!gpu::cudnn_options().gradients || !dq.at || !dk.at || !dv.at || dq.add || dk.add || dv.add || !detail::is_for_cudnn<T>(a, scale, q, k, v, grad, dq, dk, dv)) return false;
  gpu::Use on(device);
  auto& dnn = gpu::detail::Dnn::of(gpu::context(device));
  const auto& plan = dnn.plan(detail::attention_kind(a, q, k, v, true));
  if (!plan) return false;
  gpu::Scratch<float> logs(a.batch * a.heads * a.queries, device);
  each(device, a.batch * a.heads * a.queries, detail::LogsOfTotals{{a.heads, a.queries}, totals, logs.data()});
  const gpu::detail::Bound operands[] = {{Operand::q, q.at}, {Operand::k, k.at}, {Operand::v, v.at}, {Operand::y, out.at}, {Operand::dy, grad.at}, {Operand::logs, logs.data()},
                                         {Operand::scale, &scale}, {Operand::dq, dq.at}, {Operand::dk, dk.at}, {Operand::dv, dv.at}};
  plan.run(device, dnn.handle, operands);
  return true;
}

}  // namespace kernel
}
}  // namespace tricycle
#endif
