// cuBLASLt: what it is told of a product, which algorithms it has for it, and the one that is kept.
#pragma once
#include "tricycle/kernel/launch.hpp"
#ifdef TRICYCLE_CUDA
#include <cublasLt.h>
#include <map>
#include <string>
#endif

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace kernel {

/// What a product does besides: D (m, n) is added `bias` (n); `before` (like D) keeps it from before GELU, and D becomes GELU
/// of it; D is multiplied by the derivative of GELU at `gelu_back` (like D). GELU is the tanh form. cuBLASLt can do `bias` and GELU
/// together, but `gelu_back` alone. (It can sum columns, too, but not as fast as kernel::columns.)
struct Epilogue {
  const void* bias = nullptr;
  void* before = nullptr;
  bool gelu = false;
  const void* gelu_back = nullptr;
};

}  // namespace kernel

#ifdef TRICYCLE_CUDA
namespace gpu {
using kernel::Epilogue;

/// Throw unless cuBLASLt did what it was asked.
template <class... What>
void check(cublasStatus_t status, const What&... what) {
  if (status != CUBLAS_STATUS_SUCCESS) [[unlikely]] fail("cublasLt: ", what..., ": ", cublasLtGetStatusString(status));
}

/// How products are made on GPUs, for the whole process.
struct ProductOptions {
  bool tf32 = false;                                     // floats with 10 bits of their mantissa: several times as fast
  bool tuned = false;                                    // time cuBLASLt's candidates for each shape, and keep the fastest
};
TRICYCLE_PROCESS_WIDE inline ProductOptions& product_options() {
  static ProductOptions options;
  return options;
}

/// Which of cuBLASLt's candidates each shape uses, where that is not its first. Saved with a checkpoint, so that a resumed
/// run gives the same bits.
using ProductChoices = std::map<std::string, int>;
TRICYCLE_PROCESS_WIDE inline ProductChoices& product_choices() {
  static ProductChoices choices;
  return choices;
}

namespace detail {

template <class T>
constexpr cudaDataType_t cuda_type() {
  if constexpr (std::same_as<T, float>) return CUDA_R_32F;
  else if constexpr (std::same_as<T, double>) return CUDA_R_64F;
  else if constexpr (std::same_as<T, bf16>) return CUDA_R_16BF;
  else return CUDA_R_16F;
}

/// Something of cuBLASLt's that is destroyed with this.
template <class Handle, cublasStatus_t (*destroy)(Handle)>
struct Owned {
  Handle handle = nullptr;
  Owned() = default;
  ~Owned() { if (handle) destroy(handle); }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
};

/// cuBLASLt's handle for a context, memory for its algorithms to work in, and the products that were made before.
struct Blas {
  static constexpr std::size_t workspace_bytes = 32 << 20;
  using Key = std::array<Index, 20>;
  cublasLtHandle_t handle = nullptr;
  void* workspace = nullptr;
  std::map<Key, std::shared_ptr<void>> products;

  static Blas& of(Context& context) {
    if (!context.blas) {
      auto fresh = std::make_shared<Blas>();
      check(cublasLtCreate(&fresh->handle), "cublasLtCreate");
      gpu::check(cudaMalloc(&fresh->workspace, workspace_bytes), "cudaMalloc of cublasLt's workspace");
      context.blas = fresh;
    }
    return *static_cast<Blas*>(context.blas.get());
  }
};

/// The largest power of 2, up to 256, that an address is a multiple of.
inline Index alignment_of(const void* p) {
  Index bytes = 256;
  while (reinterpret_cast<std::uintptr_t>(p) % static_cast<std::uintptr_t>(bytes) != 0) bytes /= 2;
  return bytes;
}

}  // namespace detail

/// A matrix whose rows lie next to each other's numbers, `stride` apart; or, if `by_columns`, whose columns do.
struct Matrix {
  Index rows, columns, stride;
  bool by_columns;
  Index batch_stride;
};

namespace detail {

/// What cuBLASLt is told of one kind of product, and the algorithms that it offers for it. It thinks in columns: for it D is
/// Dᵀ = Bᵀ Aᵀ, so B comes first.
template <class T, class C>
class Product {
 public:
  std::vector<cublasLtMatmulHeuristicResult_t> candidates;       // what cuBLASLt thinks the best one first
  std::size_t choice = 0;
  std::string name;                                      // for errors, and to keep a choice under

  Product(Blas& blas, const Matrix& a, const Matrix& b, const Matrix& d, Index batch, const Epilogue& epilogue, const Blas::Key& key) : blas_(blas) {
    constexpr auto scale = std::same_as<T, double> ? CUDA_R_64F : CUDA_R_32F;
    auto compute = std::same_as<T, double> ? CUBLAS_COMPUTE_64F : std::same_as<T, float> && product_options().tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    check(cublasLtMatmulDescCreate(&product_.handle, compute, scale), "cublasLtMatmulDescCreate");
    set(CUBLASLT_MATMUL_DESC_TRANSA, b.by_columns ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_TRANSB, a.by_columns ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue_of(epilogue));
    point(epilogue, d.stride);
    layout(b_.handle, cuda_type<T>(), b, batch);
    layout(a_.handle, cuda_type<T>(), a, batch);
    layout(d_.handle, cuda_type<C>(), d, batch);
    name = std::string(dtype_name<T>()) + (std::same_as<T, C> ? "" : std::string(" to ") + dtype_name<C>());
    for (Index n : key) name += " " + std::to_string(n);
    ask(epilogue, key);
  }

  /// What an epilogue reads and writes this time.
  void point(const Epilogue& e, Index row) {
    if (e.bias) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, e.bias);
    if (const void* aux = e.gelu_back ? e.gelu_back : e.before) {
      set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, aux);
      set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, std::int64_t{row});
    }
  }

  cublasStatus_t run(std::size_t candidate, const T* a, const T* b, C* d, bool accumulate, cudaStream_t stream) {
    using Scale = std::conditional_t<std::same_as<T, double>, double, float>;
    Scale one = 1, beta = accumulate ? Scale(1) : Scale(0);
    return cublasLtMatmul(blas_.handle, product_.handle, &one, b, b_.handle, a, a_.handle, &beta, d, d_.handle, d, d_.handle, &candidates[candidate].algo, blas_.workspace,
                          Blas::workspace_bytes, stream);
  }

  /// Time each candidate a few times, on working memory of D's size, and choose the fastest.
  void tune(const T* a, const T* b, C* d, cudaStream_t stream) {
    cudaEvent_t began, ended;
    gpu::check(cudaEventCreateWithFlags(&began, cudaEventDefault), "cudaEventCreate");
    gpu::check(cudaEventCreateWithFlags(&ended, cudaEventDefault), "cudaEventCreate");
    float least = 0;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      constexpr int runs = 5;
      for (int run = -1; run < runs; ++run) {
        if (run == 0) gpu::check(cudaEventRecord(began, stream), "cudaEventRecord");
        check(this->run(i, a, b, d, false, stream), "product of ", name);
      }
      gpu::check(cudaEventRecord(ended, stream), "cudaEventRecord");
      gpu::check(cudaEventSynchronize(ended), "product of ", name);
      float ms = 0;
      gpu::check(cudaEventElapsedTime(&ms, began, ended), "cudaEventElapsedTime");
      if (i == 0 || ms < least) least = ms, choice = i;
    }
    cudaEventDestroy(began);
    cudaEventDestroy(ended);
  }

  static cublasLtEpilogue_t epilogue_of(const Epilogue& e) {
    if (e.gelu_back) return CUBLASLT_EPILOGUE_DGELU;
    if (!e.gelu) return e.bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
    if (!e.before) return e.bias ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
    return e.bias ? CUBLASLT_EPILOGUE_GELU_AUX_BIAS : CUBLASLT_EPILOGUE_GELU_AUX;
  }

 private:
  void ask(const Epilogue& epilogue, const Blas::Key& key) {
    Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy> preference;
    check(cublasLtMatmulPreferenceCreate(&preference.handle), "cublasLtMatmulPreferenceCreate");
    auto prefer = [&](cublasLtMatmulPreferenceAttributes_t which, auto value) {
      check(cublasLtMatmulPreferenceSetAttribute(preference.handle, which, &value, sizeof value), "cublasLtMatmulPreferenceSetAttribute");
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, Blas::workspace_bytes);
    // Parts of a long sum, if it is split, are added in the precision of the sum and in one order.
    prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, static_cast<std::uint32_t>(key[1])), prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, static_cast<std::uint32_t>(key[0]));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, static_cast<std::uint32_t>(key[2])), prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, static_cast<std::uint32_t>(key[2]));
    constexpr int most = 8;
    candidates.resize(most);
    int n = 0;
    auto status = cublasLtMatmulAlgoGetHeuristic(blas_.handle, product_.handle, b_.handle, a_.handle, d_.handle, d_.handle, preference.handle, most, candidates.data(), &n);
    const bool has_epilogue = epilogue_of(epilogue) != CUBLASLT_EPILOGUE_DEFAULT;
    if (status != CUBLAS_STATUS_NOT_SUPPORTED && !(has_epilogue && status == CUBLAS_STATUS_INVALID_VALUE)) check(status, "product of ", name);
    candidates.resize(static_cast<std::size_t>(n));
    std::erase_if(candidates, [](auto& found) { return found.state != CUBLAS_STATUS_SUCCESS; });
  }

  template <class Value>
  void set(cublasLtMatmulDescAttributes_t which, Value value) {
    check(cublasLtMatmulDescSetAttribute(product_.handle, which, &value, sizeof value), "cublasLtMatmulDescSetAttribute");
  }
  static void layout(cublasLtMatrixLayout_t& made, cudaDataType_t type, const Matrix& m, Index batch) {
    auto inner = static_cast<std::uint64_t>(m.by_columns ? m.rows : m.columns), outer = static_cast<std::uint64_t>(m.by_columns ? m.columns : m.rows);
    check(cublasLtMatrixLayoutCreate(&made, type, inner, outer, m.stride), "cublasLtMatrixLayoutCreate");
    auto count = static_cast<std::int32_t>(batch);
    check(cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count), "batch count");
    std::int64_t stride = m.batch_stride;
    check(cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof stride), "batch stride");
  }

  Blas& blas_;
  Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy> product_;
  Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy> a_, b_, d_;
};

}  // namespace detail

/// D = or += A B, for a batch of matrices. False, with nothing done, when cuBLASLt has no algorithm for it. What it is told of
/// a product, and answers, is kept for the next one of that kind: asking takes longer than many a product.
///   (m, k), (k, n) -> (m, n)
template <class T, class C>
bool multiply(Device device, const Matrix& a, const T* at_a, const Matrix& b, const T* at_b, const Matrix& d, C* at_d, Index batch, bool accumulate, const Epilogue& epilogue = {}) {
  using Product = detail::Product<T, C>;
  Context& here = context(device);
  Use on(device);
  auto& blas = detail::Blas::of(here);
  const detail::Blas::Key key{detail::alignment_of(at_a), detail::alignment_of(at_b), detail::alignment_of(at_d), d.rows, d.columns, a.columns, a.stride, a.by_columns, a.batch_stride,
                              b.stride, b.by_columns, b.batch_stride, d.stride, d.batch_stride, batch, accumulate, Product::epilogue_of(epilogue), product_options().tf32,
                              detail::cuda_type<T>(), detail::cuda_type<C>()};
  auto& kept = blas.products[key];
  const bool is_new = !kept;
  if (is_new) kept = std::make_shared<Product>(blas, a, b, d, batch, epilogue, key);
  auto& product = *static_cast<Product*>(kept.get());
  if (product.candidates.empty()) return false;
  product.point(epilogue, d.stride);
  if (is_new) {
    static std::mutex mutex;
    std::lock_guard lock(mutex);
    if (auto known = product_choices().find(product.name); known != product_choices().end()) {
      product.choice = (std::min)(static_cast<std::size_t>((std::max)(known->second, 0)), product.candidates.size() - 1);
    } else if (product_options().tuned && !here.capture && product.candidates.size() > 1) {
      Scratch<C> result((batch - 1) * d.batch_stride + (d.rows - 1) * d.stride + d.columns, device);
      product.tune(at_a, at_b, result.data(), here.stream);
      product_choices()[product.name] = static_cast<int>(product.choice);
    }
  }
  auto status = product.run(product.choice, at_a, at_b, at_d, accumulate, here.stream);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED && Product::epilogue_of(epilogue) != CUBLASLT_EPILOGUE_DEFAULT) {
    product.candidates.clear();
    return false;
  }
  check(status, "product of ", product.name);
  return true;
}

}  // namespace gpu
#endif
}
}  // namespace tricycle
