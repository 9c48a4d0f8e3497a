// cuBLASLt's API: descriptors, choices of algorithm (all of them the same here), and products in a stream's order.
#include <cstring>
#include <iterator>
#include "matmul.hpp"
#include "memory.hpp"
#include "report.hpp"
#include "streams.hpp"

using namespace emulator;

struct cublasLtContext { int device = 0; };
struct cublasLtMatmulPreferenceOpaque_t { std::uint64_t workspace = 0; };

namespace {

struct StatusName { cublasStatus_t status; const char *name, *text; };
constexpr StatusName status_names[] = {
  {CUBLAS_STATUS_SUCCESS, "CUBLAS_STATUS_SUCCESS", "success"},
  {CUBLAS_STATUS_NOT_INITIALIZED, "CUBLAS_STATUS_NOT_INITIALIZED", "the library was not initialized"},
  {CUBLAS_STATUS_ALLOC_FAILED, "CUBLAS_STATUS_ALLOC_FAILED", "the resource allocation failed"},
  {CUBLAS_STATUS_INVALID_VALUE, "CUBLAS_STATUS_INVALID_VALUE", "an unsupported value or parameter was passed to the function"},
  {CUBLAS_STATUS_ARCH_MISMATCH, "CUBLAS_STATUS_ARCH_MISMATCH", "the function requires an architectural feature absent from the device"},
  {CUBLAS_STATUS_EXECUTION_FAILED, "CUBLAS_STATUS_EXECUTION_FAILED", "the GPU program failed to execute"},
  {CUBLAS_STATUS_INTERNAL_ERROR, "CUBLAS_STATUS_INTERNAL_ERROR", "an internal operation failed"},
  {CUBLAS_STATUS_NOT_SUPPORTED, "CUBLAS_STATUS_NOT_SUPPORTED", "the functionality requested is not supported"},
};

const StatusName* named(cublasStatus_t status) {
  for (const auto& s : status_names)
    if (s.status == status) return &s;
  return nullptr;
}

template <class T>
cublasStatus_t set(T& field, const void* value, std::size_t bytes) {
  if (bytes != sizeof field || !value) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&field, value, sizeof field);
  return CUBLAS_STATUS_SUCCESS;
}

template <class T>
cublasStatus_t destroy(T* p) {
  delete p;
  return CUBLAS_STATUS_SUCCESS;
}

constexpr int algorithms = 3;
constexpr std::uint64_t algorithm_mark = 0x7472696379636c65;         // in data[1] of every algorithm of ours

Matmul matmul(cublasLtMatmulDesc_t how, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d) {
  Matmul m;
  m.how = *how, m.a_layout = *a, m.b_layout = *b, m.c_layout = *c, m.d_layout = *d;
  return m;
}

}  // namespace

const char* cublasGetStatusName(cublasStatus_t status) { return named(status) ? named(status)->name : "unknown status"; }
const char* cublasGetStatusString(cublasStatus_t status) { return named(status) ? named(status)->text : "unknown status"; }
const char* cublasLtGetStatusName(cublasStatus_t status) { return cublasGetStatusName(status); }
const char* cublasLtGetStatusString(cublasStatus_t status) { return cublasGetStatusString(status); }
std::size_t cublasLtGetVersion() { return 130000; }

// ---------------------------------------------------------------- descriptors

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  if (!handle) return CUBLAS_STATUS_INVALID_VALUE;
  if (device_count() == 0) return CUBLAS_STATUS_NOT_INITIALIZED;
  *handle = new cublasLtContext{current_device()};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) { return destroy(handle); }

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* desc, cublasComputeType_t compute, cudaDataType_t scale) {
  *desc = new cublasLtMatmulDescOpaque_t;
  (*desc)->compute = compute, (*desc)->scale = scale;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) { return destroy(desc); }

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attribute, const void* value,
                                              std::size_t bytes) {
  if (!desc) return CUBLAS_STATUS_INVALID_VALUE;
  auto& d = *desc;
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_COMPUTE_TYPE: return set(d.compute, value, bytes);
    case CUBLASLT_MATMUL_DESC_SCALE_TYPE: return set(d.scale, value, bytes);
    case CUBLASLT_MATMUL_DESC_POINTER_MODE: return set(d.pointer_mode, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSA: return set(d.transposes_a, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB: return set(d.transposes_b, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE: return set(d.epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER: return set(d.bias, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE: return set(d.bias_stride, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE: return set(d.bias_type, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER: return set(d.aux, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD: return set(d.aux_ld, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE: return set(d.aux_stride, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE: return set(d.aux_type, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSC: break;
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type, std::uint64_t rows, std::uint64_t columns,
                                          std::int64_t ld) {
  *layout = new cublasLtMatrixLayoutOpaque_t;
  (*layout)->type = type, (*layout)->rows = rows, (*layout)->columns = columns, (*layout)->ld = ld;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) { return destroy(layout); }

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t attribute, const void* value,
                                                std::size_t bytes) {
  if (!layout) return CUBLAS_STATUS_INVALID_VALUE;
  switch (attribute) {
    case CUBLASLT_MATRIX_LAYOUT_TYPE: return set(layout->type, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_ORDER: return set(layout->order, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_ROWS: return set(layout->rows, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_COLS: return set(layout->columns, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_LD: return set(layout->ld, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT: return set(layout->batch, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET: return set(layout->stride, value, bytes);
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  *preference = new cublasLtMatmulPreferenceOpaque_t;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) { return destroy(preference); }
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, std::size_t bytes) {
  std::uint32_t other = 0;
  return attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES ? set(preference->workspace, value, bytes) : set(other, value, bytes);
}

// ---------------------------------------------------------------- algorithms

cublasStatus_t cublasLtMatmulAlgoInit(cublasLtHandle_t, cublasComputeType_t, cudaDataType_t, cudaDataType_t, cudaDataType_t, cudaDataType_t,
                                      cudaDataType_t, int id, cublasLtMatmulAlgo_t* algorithm) {
  if (id < 0 || id >= algorithms) return CUBLAS_STATUS_INVALID_VALUE;
  *algorithm = {{static_cast<std::uint64_t>(id), algorithm_mark, 0, 0, 0, 0, 0, 0}};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t how, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t, int wanted,
                                              cublasLtMatmulHeuristicResult_t results[], int* found) {
  *found = 0;
  if (!handle || !how || !a || !b || !c || !d || wanted < 1) return CUBLAS_STATUS_INVALID_VALUE;
  if (auto status = check_matmul(matmul(how, a, b, c, d), false)) return status;
  for (int i = 0; i < wanted && i < algorithms; ++i, ++*found) {
    results[i] = {};
    cublasLtMatmulAlgoInit(handle, how->compute, how->scale, a->type, b->type, c->type, d->type, i, &results[i].algo);
    results[i].state = CUBLAS_STATUS_SUCCESS, results[i].wavesCount = 1;
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t handle, cublasLtMatmulDesc_t how, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                       cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d, const cublasLtMatmulAlgo_t* algorithm, cublasLtMatmulHeuristicResult_t* answer) {
  if (!handle || !how || !a || !b || !c || !d || !algorithm || !answer) return CUBLAS_STATUS_INVALID_VALUE;
  *answer = {};
  answer->algo = *algorithm;
  return answer->state = algorithm->data[1] == algorithm_mark ? check_matmul(matmul(how, a, b, c, d), false) : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t* algorithm, cublasLtMatmulAlgoConfigAttributes_t attribute, void* value,
                                                    std::size_t bytes, std::size_t* bytes_written) {
  std::uint32_t answer = attribute == CUBLASLT_ALGO_CONFIG_SPLITK_NUM ? 1 : 0;
  if (attribute == CUBLASLT_ALGO_CONFIG_ID) answer = static_cast<std::uint32_t>(algorithm->data[0]);
  if (bytes_written) *bytes_written = sizeof answer;
  if (bytes == 0 && bytes_written) return CUBLAS_STATUS_SUCCESS;
  if (bytes != sizeof answer || !value) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(value, &answer, sizeof answer);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoConfigSetAttribute(cublasLtMatmulAlgo_t* algorithm, cublasLtMatmulAlgoConfigAttributes_t, const void* value,
                                                    std::size_t bytes) {
  return algorithm && value && bytes ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;    // all are the same, however they are set
}

// ---------------------------------------------------------------- the product

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t how, const void* alpha, const void* a, cublasLtMatrixLayout_t a_layout,
                              const void* b, cublasLtMatrixLayout_t b_layout, const void* beta, const void* c, cublasLtMatrixLayout_t c_layout,
                              void* d, cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t* algorithm, void*, std::size_t, cudaStream_t stream_handle) {
  std::lock_guard lock(mutex);
  if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (!how || !a_layout || !b_layout || !c_layout || !d_layout || !alpha || !beta) return CUBLAS_STATUS_INVALID_VALUE;
  if (how->pointer_mode != CUBLASLT_POINTER_MODE_HOST) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (algorithm && algorithm->data[1] != algorithm_mark) return CUBLAS_STATUS_INVALID_VALUE;
  auto m = matmul(how, a_layout, b_layout, c_layout, d_layout);
  m.alpha = how->scale == CUDA_R_64F ? *static_cast<const double*>(alpha) : *static_cast<const float*>(alpha);
  m.beta = how->scale == CUDA_R_64F ? *static_cast<const double*>(beta) : *static_cast<const float*>(beta);
  m.a = a, m.b = b, m.c = c, m.d = d;
  if (auto status = check_matmul(m, true)) return status;
  auto* stream = stream_of(stream_handle);
  if (!stream || stream->device != handle->device) return CUBLAS_STATUS_INVALID_VALUE;
  for (const void* p : {a, b, static_cast<const void*>(d)})
    if (int device = device_of(reinterpret_cast<std::uintptr_t>(p)); device != stream->device)
      fail("a matrix product on GPU %d is given %p, which is not that GPU's memory", stream->device, p);
  if (!stream->capture) ++counted().launches;
  return enqueue(*stream, {[m] { multiply(m); }, {}, {}}) == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
