// cuDNN's graph API as far as attention goes. It is strict: what is unknown, of another type, missing or does not fit is refused.
#include "attention.hpp"
#include "cudnn_rules.hpp"
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>
#include "memory.hpp"
#include "report.hpp"
#include "streams.hpp"

using namespace emulator;

struct cudnnContext { int device = 0; cudaStream_t stream = nullptr; };

namespace {

thread_local std::string last_words;
CudnnRuns runs;

cudnnStatus_t refuse(cudnnStatus_t status, std::string why) {
  last_words = std::move(why);
  return status;
}

/// A descriptor. What others are made of stays as it was then, however long its owner keeps it.
struct Made {
  cudnnBackendDescriptorType_t type;
  bool is_final = false;
  std::map<Name, std::vector<char>> values;
  std::map<Name, std::shared_ptr<const Made>> parts;

  bool has(Name name) const { return values.count(name) || parts.count(name); }
  const Made& part(Name name) const { return *parts.at(name); }
  template <class T>
  T value(Name name, std::size_t i = 0) const {
    T x{};
    if (auto found = values.find(name); found != values.end()) std::memcpy(&x, found->second.data() + i * sizeof(T), sizeof(T));
    return x;
  }
  Four four(Name name) const { return value<Four>(name); }
  Four sizes() const { return four(CUDNN_ATTR_TENSOR_DIMENSIONS); }
  std::int64_t id() const { return value<std::int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID); }
  cudnnDataType_t kind() const { return value<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE); }
  bool is_virtual() const { return value<bool>(CUDNN_ATTR_TENSOR_IS_VIRTUAL); }
  bool is_by_value() const { return value<bool>(CUDNN_ATTR_TENSOR_IS_BY_VALUE); }
  bool is_number() const { return type == tensor && is_by_value() && kind() == CUDNN_DATA_FLOAT && sizes() == Four{1, 1, 1, 1}; }
  bool is_stored(const Four& shape, cudnnDataType_t wanted) const { return type == tensor && !is_virtual() && !is_by_value() && kind() == wanted && sizes() == shape; }
  bool is_between(const Four& shape) const { return type == tensor && is_virtual() && kind() == CUDNN_DATA_FLOAT && sizes() == shape; }
};
using Owner = std::shared_ptr<Made>;
Made* made(cudnnBackendDescriptor_t d) { return d ? static_cast<Owner*>(d)->get() : nullptr; }

/// All tensors that something is made of, by their numbers. Null if two that differ have one number.
bool collect(const Made& from, std::map<std::int64_t, const Made*>& tensors) {
  if (from.type == tensor) {
    const auto* known = tensors.try_emplace(from.id(), &from).first->second;
    return known->values == from.values;
  }
  return std::all_of(from.parts.begin(), from.parts.end(), [&](auto& part) { return collect(*part.second, tensors); });
}

/// The names of what the two operations have in common.
struct Names { Name q, k, v, o, scale, graph, in, out; };
constexpr Names names_of(bool back) {
  if (back) return {CUDNN_ATTR_OPERATION_SDPA_BWD_QDESC, CUDNN_ATTR_OPERATION_SDPA_BWD_KDESC, CUDNN_ATTR_OPERATION_SDPA_BWD_VDESC, CUDNN_ATTR_OPERATION_SDPA_BWD_ODESC, CUDNN_ATTR_OPERATION_SDPA_BWD_SCALEDESC,
                    CUDNN_ATTR_OPERATION_SDPA_BWD_SUBGRAPH, CUDNN_ATTR_OPERATION_SDPA_BWD_SUBGRAPH_INPUT_UID, CUDNN_ATTR_OPERATION_SDPA_BWD_SUBGRAPH_OUTPUT_UID};
  return {CUDNN_ATTR_OPERATION_SDPA_FWD_QDESC, CUDNN_ATTR_OPERATION_SDPA_FWD_KDESC, CUDNN_ATTR_OPERATION_SDPA_FWD_VDESC, CUDNN_ATTR_OPERATION_SDPA_FWD_ODESC, CUDNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC,
          CUDNN_ATTR_OPERATION_SDPA_FWD_SUBGRAPH, CUDNN_ATTR_OPERATION_SDPA_FWD_SUBGRAPH_INPUT_UID, CUDNN_ATTR_OPERATION_SDPA_FWD_SUBGRAPH_OUTPUT_UID};
}
const Made& logs_of(const Made& op) {
  return op.type == backward ? op.part(CUDNN_ATTR_OPERATION_SDPA_BWD_STATSDESC) : op.part(CUDNN_ATTR_OPERATION_SDPA_FWD_SOFTMAX_DESC).part(CUDNN_ATTR_OPERATION_SOFTMAX_STATS_DESC);
}

/// What does not fit in an attention; nothing if all does.
const char* misfit(const Made& op) {
  const auto names = names_of(op.type == backward);
  const auto& q = op.part(names.q);
  if (q.type != tensor) return "its q is no tensor";
  const auto [batch, heads, queries, size] = q.sizes();
  const Four like_keys{batch, heads, op.part(names.k).sizes()[2], size}, pairs{batch, heads, queries, like_keys[2]};
  if (!q.is_stored(q.sizes(), q.kind())) return "its q is not in memory";
  if (!op.part(names.k).is_stored(like_keys, q.kind()) || !op.part(names.v).is_stored(like_keys, q.kind())) return "its k and v do not fit q";
  if (!op.part(names.o).is_stored(q.sizes(), q.kind())) return "its o does not fit q";
  if (!op.part(names.scale).is_number()) return "its scale is no number";
  if (op.type == forward) {
    const auto& s = op.part(CUDNN_ATTR_OPERATION_SDPA_FWD_SOFTMAX_DESC);
    if (s.type != softmax || !s.part(CUDNN_ATTR_OPERATION_SOFTMAX_XDESC).is_between(pairs) || !s.part(CUDNN_ATTR_OPERATION_SOFTMAX_YDESC).is_between(pairs)) return "its softmax is not of its scores";
  } else {
    for (auto name : {CUDNN_ATTR_OPERATION_SDPA_BWD_DQDESC, CUDNN_ATTR_OPERATION_SDPA_BWD_DODDESC})
      if (!op.part(name).is_stored(q.sizes(), q.kind())) return "a gradient does not fit q";
    for (auto name : {CUDNN_ATTR_OPERATION_SDPA_BWD_DKDESC, CUDNN_ATTR_OPERATION_SDPA_BWD_DVDESC})
      if (!op.part(name).is_stored(like_keys, q.kind())) return "a gradient does not fit k";
  }
  if (!logs_of(op).is_stored({batch, heads, queries, 1}, CUDNN_DATA_FLOAT)) return "its stats are not (batch, heads, queries, 1) floats";
  if (op.has(names.graph) != op.has(names.in) || op.has(names.graph) != op.has(names.out)) return "its subgraph has no input or no output";
  if (!op.has(names.graph)) return nullptr;
  const auto& sub = op.part(names.graph);
  if (sub.type != graph || sub.part(CUDNN_ATTR_OPERATIONGRAPH_OPS).type != mask) return "its subgraph is not one mask";
  const auto& band = sub.part(CUDNN_ATTR_OPERATIONGRAPH_OPS);
  const auto &x = band.part(CUDNN_ATTR_OPERATION_DIAGONAL_BAND_MASK_XDESC), &y = band.part(CUDNN_ATTR_OPERATION_DIAGONAL_BAND_MASK_YDESC);
  if (!x.is_between(pairs) || !y.is_between(pairs) || x.id() != op.value<std::int64_t>(names.in) || y.id() != op.value<std::int64_t>(names.out)) return "its mask is not of its scores";
  if (!band.part(CUDNN_ATTR_OPERATION_DIAGONAL_BAND_MASK_BDESC).is_number()) return "its mask has no number for what it hides";
  if (band.value<cudnnPointwiseMode_t>(CUDNN_ATTR_OPERATION_DIAGONAL_BAND_MASK_COMPARISON_MODE) != CUDNN_POINTWISE_CMP_GE) return "its mask does not show a query the key of its own number";
  return nullptr;
}

Tokens tokens(const Made& t) {
  return {nullptr, t.kind() == CUDNN_DATA_FLOAT ? CUDA_R_32F : t.kind() == CUDNN_DATA_HALF ? CUDA_R_16F : CUDA_R_16BF, t.sizes(), t.four(CUDNN_ATTR_TENSOR_STRIDES)};
}
Attention attention_of(const Made& op) {
  const auto names = names_of(op.type == backward);
  Attention a;
  a.is_back = op.type == backward, a.is_masked = op.has(names.graph);
  a.q = tokens(op.part(names.q)), a.k = tokens(op.part(names.k)), a.v = tokens(op.part(names.v)), a.y = tokens(op.part(names.o)), a.logs = tokens(logs_of(op));
  if (!a.is_back) return a;
  a.dq = tokens(op.part(CUDNN_ATTR_OPERATION_SDPA_BWD_DQDESC)), a.dk = tokens(op.part(CUDNN_ATTR_OPERATION_SDPA_BWD_DKDESC)), a.dv = tokens(op.part(CUDNN_ATTR_OPERATION_SDPA_BWD_DVDESC));
  a.dy = tokens(op.part(CUDNN_ATTR_OPERATION_SDPA_BWD_DODDESC));
  return a;
}
/// The operation of a finalised graph, ranking, config or plan.
const Made& operation(const Made& from) {
  for (auto name : {CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG})
    if (from.parts.count(name)) return operation(from.part(name));
  return from;
}

/// What cuDNN has kernels for, of an attention in which all fits.
bool is_supported(const Made& op) {
  const auto a = attention_of(op);
  const auto size = a.q.sizes[3];
  bool is = a.q.type != CUDA_R_32F && size % 8 == 0 && size <= (a.is_back ? 128 : 256);
  for (const Tokens* x : {&a.q, &a.k, &a.v, &a.y}) {
    is = is && x->strides[3] == 1 && *std::min_element(x->sizes.begin(), x->sizes.end()) > 0;
    for (int i = 0; i < 3; ++i) is = is && x->strides[static_cast<std::size_t>(i)] % 8 == 0;
  }
  return is;
}

}  // namespace

CudnnRuns emulator::cudnn_runs() { return runs; }

std::size_t cudnnGetVersion() { return CUDNN_VERSION; }
const char* cudnnGetErrorString(cudnnStatus_t status) {
  switch (status) {
    case CUDNN_STATUS_SUCCESS: return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_NOT_INITIALIZED: return "CUDNN_STATUS_NOT_INITIALIZED";
    case CUDNN_STATUS_NOT_SUPPORTED: return "CUDNN_STATUS_NOT_SUPPORTED";
    case CUDNN_STATUS_EXECUTION_FAILED: return "CUDNN_STATUS_EXECUTION_FAILED";
    default: return "CUDNN_STATUS_BAD_PARAM";
  }
}
void cudnnGetLastErrorString(char* message, std::size_t bytes) { std::snprintf(message, bytes, "%s", std::exchange(last_words, "").c_str()); }

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  if (device_count() == 0) return refuse(CUDNN_STATUS_NOT_INITIALIZED, "there is no GPU");
  *handle = new cudnnContext{current_device(), nullptr};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) { return delete handle, CUDNN_STATUS_SUCCESS; }
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  std::lock_guard lock(mutex);
  const auto* s = stream_of(stream);
  if (!handle || !s || s->device != handle->device) return refuse(CUDNN_STATUS_BAD_PARAM, "the stream is not of the handle's GPU");
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t* to) {
  *to = new Owner(std::make_shared<Made>(Made{type, false, {}, {}}));
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t d) { return delete static_cast<Owner*>(d), CUDNN_STATUS_SUCCESS; }

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t d, Name name, cudnnBackendAttributeType_t type, std::int64_t count, const void* values) {
  auto* to = made(d);
  if (!to || !values) return refuse(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "a null pointer");
  if (to->is_final) return refuse(CUDNN_STATUS_BAD_PARAM, "the descriptor is finalised");
  const auto* rule = std::find_if(std::begin(rules), std::end(rules), [&](auto& r) { return r.of == to->type && r.first <= name && name <= r.last; });
  if (rule == std::end(rules) || std::count(std::begin(not_here), std::end(not_here), name)) return refuse(CUDNN_STATUS_NOT_SUPPORTED, "an attribute that this descriptor does not have");
  if (type != rule->type || count < rule->least || count > rule->most) return refuse(CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE, "an attribute of another type or count");
  if (type == descriptor) {
    const auto& part = *static_cast<Owner*>(*static_cast<void* const*>(values));
    if (!part->is_final) return refuse(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "a part is not finalised");
    to->parts[name] = part;
  } else {
    const auto* first = static_cast<const char*>(values);
    to->values[name].assign(first, first + static_cast<std::size_t>(count) * size_of_one(type));
  }
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t d) {
  auto* m = made(d);
  if (!m) return refuse(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "a null pointer");
  for (const auto& r : rules)
    for (int name = r.first; r.of == m->type && r.is_needed && name <= r.last; ++name)
      if (!m->has(Name(name)) && !std::count(std::begin(not_here), std::end(not_here), Name(name))) return refuse(CUDNN_STATUS_BAD_PARAM, "attribute " + std::to_string(name) + " is missing");
  if (m->type == tensor) {
    const auto alignment = m->value<std::int64_t>(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT);
    if (alignment < 2 || (alignment & (alignment - 1)) || (m->is_virtual() && m->is_by_value())) return refuse(CUDNN_STATUS_BAD_PARAM, "a tensor that cannot be");
  }
  if (m->type == forward || m->type == backward)
    if (const char* wrong = misfit(*m)) return refuse(CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH, std::string("an attention: ") + wrong);
  if (std::map<std::int64_t, const Made*> all; m->type == graph && !collect(*m, all)) return refuse(CUDNN_STATUS_BAD_PARAM, "two tensors have one number");
  if (m->type == ranking && operation(*m).type != forward && operation(*m).type != backward) return refuse(CUDNN_STATUS_BAD_PARAM, "a ranking of what is no attention");
  if (m->type == pack && m->values[CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS].size() != m->values[CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS].size()) return refuse(CUDNN_STATUS_BAD_PARAM, "numbers without addresses");
  m->is_final = true;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t d, Name name, cudnnBackendAttributeType_t type, std::int64_t most, std::int64_t* count, void* values) {
  auto* from = made(d);
  if (!from || !from->is_final) return refuse(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "the descriptor is not finalised");
  std::int64_t there_are = 1;
  /// The caller's descriptors of this type become finalised ones that are made of `part`.
  auto hand_out = [&](cudnnBackendDescriptorType_t wanted, Name as, const std::shared_ptr<const Made>& part) {
    for (std::int64_t i = 0; i < std::min(most, there_are); ++i) {
      auto* to = made(static_cast<void**>(values)[i]);
      if (!to || to->type != wanted || to->is_final) return refuse(CUDNN_STATUS_BAD_PARAM, "a place for a descriptor of another type");
      to->parts[as] = part, to->is_final = true;
    }
    return CUDNN_STATUS_SUCCESS;
  };
  auto status = CUDNN_STATUS_SUCCESS;
  if (from->type == ranking && name == CUDNN_ATTR_ENGINEHEUR_RESULTS && type == descriptor) {
    there_are = is_supported(operation(*from)) ? 2 : 0;
    status = hand_out(config, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, from->parts.at(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH));
  } else if (from->type == config && name == CUDNN_ATTR_ENGINECFG_ENGINE && type == descriptor) {
    status = hand_out(engine, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, from->parts.at(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH));
  } else if (from->type == engine && name == CUDNN_ATTR_ENGINE_NUMERICAL_NOTE && type == CUDNN_TYPE_NUMERICAL_NOTE && most >= 1) {
    *static_cast<cudnnBackendNumericalNote_t*>(values) = CUDNN_NUMERICAL_NOTE_TENSOR_CORE;
  } else if (from->type == plan && name == CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE && type == CUDNN_TYPE_INT64 && most == 1) {
    *static_cast<std::int64_t*>(values) = workspace_of(attention_of(operation(*from)));
  } else {
    return refuse(CUDNN_STATUS_BAD_PARAM, "an attribute that this descriptor does not tell");
  }
  if (count) *count = there_are;
  return status;
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan_of, cudnnBackendDescriptor_t pack_of) {
  std::lock_guard lock(mutex);
  const auto *p = made(plan_of), *bound = made(pack_of);
  if (!handle || !p || !bound || p->type != plan || bound->type != pack || !p->is_final || !bound->is_final) return refuse(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "no plan, or no variant pack");
  const auto& op = operation(*p);
  auto a = attention_of(op);
  const auto names = names_of(a.is_back);
  std::map<std::int64_t, const Made*> tensors;
  collect(op, tensors);
  std::erase_if(tensors, [](auto& t) { return t.second->is_virtual(); });
  const auto n = bound->values.at(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS).size() / 8;
  std::map<std::int64_t, void*> places;
  for (std::size_t i = 0; i < n; ++i) places[bound->value<std::int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, i)] = bound->value<void*>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, i);
  a.workspace = bound->value<void*>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
  if (places.size() != n || n != tensors.size()) return refuse(CUDNN_STATUS_BAD_PARAM, "a variant pack of other tensors than the plan's");
  for (auto& [id, at] : places) {
    if (!tensors.count(id)) return refuse(CUDNN_STATUS_BAD_PARAM, "the variant pack has a tensor that the plan has not");
    const int device = device_of(reinterpret_cast<std::uintptr_t>(at));
    if (device != (tensors[id]->is_by_value() ? -1 : handle->device)) emulator::fail("cuDNN's attention on GPU %d is given %p, which is not where it should be", handle->device, at);
    if (reinterpret_cast<std::uintptr_t>(at) % static_cast<std::uintptr_t>(tensors[id]->value<std::int64_t>(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT)) && device >= 0)
      return refuse(CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER, "an address that is less aligned than was said");
  }
  if (device_of(reinterpret_cast<std::uintptr_t>(a.workspace)) != handle->device) emulator::fail("cuDNN's attention on GPU %d is given a workspace at %p", handle->device, a.workspace);
  auto place = [&](Tokens& x, const Made& t) { x.at = places[t.id()]; };
  place(a.q, op.part(names.q)), place(a.k, op.part(names.k)), place(a.v, op.part(names.v)), place(a.y, op.part(names.o)), place(a.logs, logs_of(op));
  if (a.is_back) {
    place(a.dq, op.part(CUDNN_ATTR_OPERATION_SDPA_BWD_DQDESC)), place(a.dk, op.part(CUDNN_ATTR_OPERATION_SDPA_BWD_DKDESC));
    place(a.dv, op.part(CUDNN_ATTR_OPERATION_SDPA_BWD_DVDESC)), place(a.dy, op.part(CUDNN_ATTR_OPERATION_SDPA_BWD_DODDESC));
  }
  a.scale = *static_cast<const float*>(places[op.part(names.scale).id()]);
  if (a.is_masked) a.unseen = *static_cast<const float*>(places[op.part(names.graph).part(CUDNN_ATTR_OPERATIONGRAPH_OPS).part(CUDNN_ATTR_OPERATION_DIAGONAL_BAND_MASK_BDESC).id()]);
  auto* stream = stream_of(handle->stream);
  if (!stream) return refuse(CUDNN_STATUS_BAD_PARAM, "the stream is gone");
  ++(a.is_back ? runs.backward : runs.forward);
  if (!stream->capture) ++counted().launches;
  return enqueue(*stream, {[a] { attend(a); }, {}, {}}) == cudaSuccess ? CUDNN_STATUS_SUCCESS : refuse(CUDNN_STATUS_EXECUTION_FAILED, "the stream takes no work");
}
