// Matrix products by the definition, column-major, and the epilogues: biases, GELU and their gradients.
#include "matmul.hpp"
#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>
#include "memory.hpp"

namespace emulator {

namespace {

float half_to_float(std::uint16_t h) {
  std::uint32_t sign = std::uint32_t(h & 0x8000u) << 16, exponent = (h >> 10) & 31, fraction = h & 1023u;
  if (exponent == 0) return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(static_cast<float>(fraction) * 0x1p-24f));
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | fraction << 13);
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
}

std::uint16_t float_to_half(float x) {
  auto bits = std::bit_cast<std::uint32_t>(x);
  auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000u);
  float size = std::fabs(x);
  if (std::isnan(x)) return static_cast<std::uint16_t>(sign | 0x7e00u);
  if (size >= 65520.f) return static_cast<std::uint16_t>(sign | 0x7c00u);
  if (size < 0x1p-14f) return static_cast<std::uint16_t>(sign | static_cast<unsigned>(std::nearbyint(size * 0x1p24f)));
  bits &= 0x7fffffffu;
  bits += 0xfff + (bits >> 13 & 1);
  return static_cast<std::uint16_t>(sign | ((bits >> 13) - (112u << 10)));
}

std::uint16_t float_to_bf16(float x) {
  auto bits = std::bit_cast<std::uint32_t>(x);
  if (std::isnan(x)) return static_cast<std::uint16_t>(bits >> 16 | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

}  // namespace

double load(const void* p, cudaDataType_t type, std::int64_t i) {
  switch (type) {
    case CUDA_R_64F: return static_cast<const double*>(p)[i];
    case CUDA_R_32F: return static_cast<const float*>(p)[i];
    case CUDA_R_16BF: return std::bit_cast<float>(std::uint32_t(static_cast<const std::uint16_t*>(p)[i]) << 16);
    case CUDA_R_16F: return half_to_float(static_cast<const std::uint16_t*>(p)[i]);
    default: return 0;
  }
}

void store(void* p, cudaDataType_t type, std::int64_t i, double x) {
  switch (type) {
    case CUDA_R_64F: static_cast<double*>(p)[i] = x; break;
    case CUDA_R_32F: static_cast<float*>(p)[i] = static_cast<float>(x); break;
    case CUDA_R_16BF: static_cast<std::uint16_t*>(p)[i] = float_to_bf16(static_cast<float>(x)); break;
    case CUDA_R_16F: static_cast<std::uint16_t*>(p)[i] = float_to_half(static_cast<float>(x)); break;
    default: break;
  }
}

namespace {

const void* at(const void* p, cudaDataType_t type, std::int64_t i) {
  return static_cast<const char*>(p) + i * static_cast<std::int64_t>(size_of(type));
}

/// The columns of a matrix, checked one by one: what is between them is not the product's.
template <class Check>
void each_column(const void* p, cudaDataType_t type, std::int64_t rows, std::int64_t columns, std::int64_t ld, Check check) {
  for (std::int64_t j = 0; j < columns; ++j) check(at(p, type, j * ld), static_cast<std::size_t>(rows) * size_of(type));
}

/// op(matrix) for one of a batch, as rows of `inner` contiguous numbers: row i holds what result row (or column) i multiplies.
template <class T>
std::vector<T> gathered(const void* p, const cublasLtMatrixLayoutOpaque_t& layout, std::int64_t batch, bool inner_is_columns, bool tf32,
                        const char* who) {
  auto rows = static_cast<std::int64_t>(layout.rows), columns = static_cast<std::int64_t>(layout.columns);
  const void* first = at(p, layout.type, batch * layout.stride);
  each_column(first, layout.type, rows, columns, layout.ld, [&](const void* column, std::size_t bytes) { check_read(column, bytes, who); });
  std::vector<T> result(static_cast<std::size_t>(rows * columns));
  for (std::int64_t j = 0; j < columns; ++j)
    for (std::int64_t i = 0; i < rows; ++i) {
      auto x = static_cast<T>(load(first, layout.type, j * layout.ld + i));
      if (tf32) {                                        // rounded to 10 bits of mantissa, as the library does on the way in
        auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(x));
        if (std::isfinite(x)) x = static_cast<T>(std::bit_cast<float>((bits + 0xfff + (bits >> 13 & 1)) & 0xffffe000u));
      }
      result[static_cast<std::size_t>(inner_is_columns ? i * columns + j : j * rows + i)] = x;
    }
  return result;
}

/// Eight sums side by side, so that they fit a register; and in pieces, as a GPU splits a long sum among blocks.
template <class T>
double dot(const T* x, const T* y, std::int64_t n) {
  constexpr std::int64_t piece = 512;
  double total = 0;
  for (std::int64_t from = 0; from < n; from += piece) {
    T sums[8] = {};
    std::int64_t k = from, to = std::min(n, from + piece);
    for (; k + 8 <= to; k += 8)
      for (int l = 0; l < 8; ++l) sums[l] += x[k + l] * y[k + l];
    for (; k < to; ++k) sums[k % 8] += x[k] * y[k];
    total += ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
  }
  return total;
}

constexpr double root_2_over_pi = 0.7978845608028654, cubic = 0.044715;
double gelu(double x) { return 0.5 * x * (1 + std::tanh(root_2_over_pi * (x + cubic * x * x * x))); }
double gelu_slope(double x) {
  double t = std::tanh(root_2_over_pi * (x + cubic * x * x * x));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * root_2_over_pi * (1 + 3 * cubic * x * x);
}

bool has(cublasLtEpilogue_t epilogue, int flag) { return (epilogue & flag) == flag; }
constexpr int relu_flag = 2, bias_flag = 4, bgrad_flag = 16, gelu_flag = 32, dgelu_flag = 64, aux_flag = 128;

template <class T>
void multiply_one(const Matmul& m, std::int64_t batch) {
  const auto& how = m.how;
  const auto d_type = m.d_layout.type;
  auto rows = static_cast<std::int64_t>(m.d_layout.rows), columns = static_cast<std::int64_t>(m.d_layout.columns);
  auto inner = static_cast<std::int64_t>(how.transposes_a == CUBLAS_OP_N ? m.a_layout.columns : m.a_layout.rows);
  bool tf32 = how.compute == CUBLAS_COMPUTE_32F_FAST_TF32 && m.a_layout.type == CUDA_R_32F;
  auto a = gathered<T>(m.a, m.a_layout, batch, how.transposes_a == CUBLAS_OP_N, tf32, "a matrix product (its a)");
  auto b = gathered<T>(m.b, m.b_layout, batch, how.transposes_b != CUBLAS_OP_N, tf32, "a matrix product (its b)");

  const void* c = m.beta != 0 ? at(m.c, m.c_layout.type, batch * m.c_layout.stride) : nullptr;
  auto* d = const_cast<void*>(at(m.d, d_type, batch * m.d_layout.stride));
  auto bias_type = how.bias_type < 0 ? d_type : static_cast<cudaDataType_t>(how.bias_type);
  auto aux_type = how.aux_type < 0 ? d_type : static_cast<cudaDataType_t>(how.aux_type);
  auto* bias = how.bias ? const_cast<void*>(at(how.bias, bias_type, batch * how.bias_stride)) : nullptr;
  auto* aux = how.aux ? const_cast<void*>(at(how.aux, aux_type, batch * how.aux_stride)) : nullptr;
  const bool adds_bias = has(how.epilogue, bias_flag), gelus = has(how.epilogue, gelu_flag), saves = gelus && has(how.epilogue, aux_flag);
  const bool dgelus = has(how.epilogue, dgelu_flag), relus = has(how.epilogue, relu_flag);

  auto reads = [&](const void* p, cudaDataType_t type, std::int64_t ld, const char* who) {
    each_column(p, type, rows, columns, ld, [&](const void* column, std::size_t bytes) { check_read(column, bytes, who); });
  };
  auto writes = [&](const void* p, cudaDataType_t type, std::int64_t ld, const char* who) {
    each_column(p, type, rows, columns, ld, [&](const void* column, std::size_t bytes) { check_write(column, bytes, who); });
  };
  if (c) reads(c, m.c_layout.type, m.c_layout.ld, "a matrix product (its c)");
  if (adds_bias) check_read(bias, static_cast<std::size_t>(rows) * size_of(bias_type), "a matrix product (its bias)");
  if (saves) writes(aux, aux_type, how.aux_ld, "a matrix product (its aux)");
  if (dgelus) reads(aux, aux_type, how.aux_ld, "a matrix product (its aux)");

  std::vector<double> result(static_cast<std::size_t>(rows * columns));
  for (std::int64_t j = 0; j < columns; ++j)
    for (std::int64_t i = 0; i < rows; ++i) {
      double x = m.alpha * dot(a.data() + i * inner, b.data() + j * inner, inner);
      if (c) x += m.beta * load(c, m.c_layout.type, j * m.c_layout.ld + i);
      if (adds_bias) x += load(bias, bias_type, i);
      if (saves) store(aux, aux_type, j * how.aux_ld + i, x);
      if (gelus) x = gelu(x);
      if (relus) x = x > 0 ? x : 0;
      if (dgelus) x *= gelu_slope(load(aux, aux_type, j * how.aux_ld + i));
      result[static_cast<std::size_t>(j * rows + i)] = x;
    }
  writes(d, d_type, m.d_layout.ld, "a matrix product (its d)");
  for (std::int64_t j = 0; j < columns; ++j)
    for (std::int64_t i = 0; i < rows; ++i) store(d, d_type, j * m.d_layout.ld + i, result[static_cast<std::size_t>(j * rows + i)]);

  // a bias' gradient: sums over what the product sums over (A, B), or over d's columns
  auto sums = [&](std::int64_t n, std::int64_t terms, auto term) {
    check_write(bias, static_cast<std::size_t>(n) * size_of(bias_type), "a matrix product (its bias' gradient)");
    for (std::int64_t i = 0; i < n; ++i) {
      double sum = 0;
      for (std::int64_t k = 0; k < terms; ++k) sum += term(i, k);
      store(bias, bias_type, i, sum);
    }
  };
  auto number = [](const auto& numbers, std::int64_t i) { return static_cast<double>(numbers[static_cast<std::size_t>(i)]); };
  if (how.epilogue == CUBLASLT_EPILOGUE_BGRADA) sums(rows, inner, [&](auto i, auto k) { return number(a, i * inner + k); });
  if (how.epilogue == CUBLASLT_EPILOGUE_BGRADB) sums(columns, inner, [&](auto j, auto k) { return number(b, j * inner + k); });
  if (has(how.epilogue, dgelu_flag | bgrad_flag)) sums(rows, columns, [&](auto i, auto j) { return number(result, j * rows + i); });
}

bool is_multiple(const void* p, std::size_t of) { return reinterpret_cast<std::uintptr_t>(p) % of == 0; }

bool is_known(cudaDataType_t type) { return size_of(type) != 0; }

}  // namespace

std::size_t size_of(cudaDataType_t type) {
  switch (type) {
    case CUDA_R_64F: return 8;
    case CUDA_R_32F: return 4;
    case CUDA_R_16BF: case CUDA_R_16F: return 2;
    default: return 0;
  }
}

cublasStatus_t check_matmul(const Matmul& m, bool with_pointers) {
  const auto &a = m.a_layout, &b = m.b_layout, &c = m.c_layout, &d = m.d_layout;
  const auto& how = m.how;
  for (const auto* layout : {&a, &b, &c, &d}) {
    if (!is_known(layout->type) || layout->order != CUBLASLT_ORDER_COL) return CUBLAS_STATUS_NOT_SUPPORTED;
    if (layout->rows == 0 || layout->columns == 0 || layout->ld < static_cast<std::int64_t>(layout->rows)) return CUBLAS_STATUS_INVALID_VALUE;
    if (layout->batch < 1 || layout->batch != d.batch) return CUBLAS_STATUS_INVALID_VALUE;
  }
  bool ta = how.transposes_a != CUBLAS_OP_N, tb = how.transposes_b != CUBLAS_OP_N;
  if ((ta ? a.columns : a.rows) != d.rows || (tb ? b.rows : b.columns) != d.columns) return CUBLAS_STATUS_INVALID_VALUE;
  if ((ta ? a.rows : a.columns) != (tb ? b.columns : b.rows)) return CUBLAS_STATUS_INVALID_VALUE;
  if (c.rows != d.rows || c.columns != d.columns) return CUBLAS_STATUS_INVALID_VALUE;
  if (d.batch > 1 && d.stride < 1) return CUBLAS_STATUS_INVALID_VALUE;

  // which types go together: cuBLAS' table for cublasLtMatmul
  bool is_double = how.compute == CUBLAS_COMPUTE_64F || how.compute == CUBLAS_COMPUTE_64F_PEDANTIC;
  bool is_16 = size_of(a.type) == 2;
  if (a.type != b.type || c.type != d.type || how.compute == CUBLAS_COMPUTE_16F) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (how.scale != (is_double ? CUDA_R_64F : CUDA_R_32F)) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (is_double != (a.type == CUDA_R_64F) || is_double != (d.type == CUDA_R_64F)) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (!is_double && d.type != a.type && !(is_16 && d.type == CUDA_R_32F)) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (is_16 && how.compute != CUBLAS_COMPUTE_32F && how.compute != CUBLAS_COMPUTE_32F_PEDANTIC) return CUBLAS_STATUS_NOT_SUPPORTED;

  auto e = how.epilogue;
  if (is_double && e != CUBLASLT_EPILOGUE_DEFAULT) return CUBLAS_STATUS_NOT_SUPPORTED;
  bool needs_bias = has(e, bias_flag) || has(e, bgrad_flag) || e == CUBLASLT_EPILOGUE_BGRADA || e == CUBLASLT_EPILOGUE_BGRADB;
  bool needs_aux = has(e, aux_flag);
  auto bias_type = how.bias_type < 0 ? d.type : static_cast<cudaDataType_t>(how.bias_type);
  auto aux_type = how.aux_type < 0 ? d.type : static_cast<cudaDataType_t>(how.aux_type);
  if (needs_bias && bias_type != d.type && bias_type != a.type) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (needs_aux && (aux_type != d.type || how.aux_ld < static_cast<std::int64_t>(d.rows) || how.aux_ld % 8)) return CUBLAS_STATUS_INVALID_VALUE;

  if (!with_pointers) return CUBLAS_STATUS_SUCCESS;
  if (!m.a || !m.b || !m.d || (m.beta != 0 && !m.c)) return CUBLAS_STATUS_INVALID_VALUE;
  if (m.c == m.d && m.beta != 0 && (c.ld != d.ld || c.stride != d.stride)) return CUBLAS_STATUS_INVALID_VALUE;
  if (!is_multiple(m.a, size_of(a.type)) || !is_multiple(m.b, size_of(b.type))) return CUBLAS_STATUS_INVALID_VALUE;
  if (!is_multiple(m.d, size_of(d.type))) return CUBLAS_STATUS_INVALID_VALUE;
  if (needs_bias && (!how.bias || !is_multiple(how.bias, size_of(bias_type)))) return CUBLAS_STATUS_INVALID_VALUE;
  if (needs_aux && (!how.aux || !is_multiple(how.aux, 16))) return CUBLAS_STATUS_INVALID_VALUE;
  return CUBLAS_STATUS_SUCCESS;
}

void multiply(const Matmul& m) {
  for (std::int64_t batch = 0; batch < m.d_layout.batch; ++batch)
    if (m.d_layout.type == CUDA_R_64F) multiply_one<double>(m, batch);
    else multiply_one<float>(m, batch);
}

}  // namespace emulator
