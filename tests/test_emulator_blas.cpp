// The emulated cuBLASLt against loops: every epilogue, type and transposition that it takes, and what it refuses.
#include <cublasLt.h>
#include <cmath>
#include <cstring>
#include "emulator/testing.hpp"

namespace {

double round_to(cudaDataType_t type, double x) {
  auto f = static_cast<float>(x);
  if (type == CUDA_R_64F) return x;
  if (type == CUDA_R_16F) return static_cast<double>(static_cast<float>(static_cast<_Float16>(f)));
  if (type == CUDA_R_16BF) {
    auto bits = std::bit_cast<std::uint32_t>(f);
    return static_cast<double>(std::bit_cast<float>((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u));
  }
  return static_cast<double>(f);
}

std::size_t bytes_of(cudaDataType_t type) { return type == CUDA_R_64F ? 8 : type == CUDA_R_32F ? 4 : 2; }

/// Numbers of a type, which double holds on the host.
class Matrix {
 public:
  Matrix(cudaDataType_t of, std::size_t m, std::size_t n, std::size_t column, std::size_t many = 1, bool is_result = false)
      : type(of), rows(m), columns(n), ld(column), stride(ld * columns + 8), batch(many), values(stride * batch) {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = round_to(type, std::sin(static_cast<double>(i * 7 + rows)));
    REQUIRE(cudaMalloc(&p, values.size() * bytes_of(type)) == cudaSuccess);
    if (!is_result) upload();
  }
  ~Matrix() { cudaDeviceSynchronize(), cudaFree(p); }
  Matrix(const Matrix&) = delete;
  Matrix& operator=(const Matrix&) = delete;

  double& at(std::size_t i, std::size_t j, std::size_t b = 0) { return values[b * stride + j * ld + i]; }
  void upload() const {
    std::vector<char> raw(values.size() * bytes_of(type));
    for (std::size_t i = 0; i < values.size(); ++i) {
      auto f = static_cast<float>(values[i]);
      auto half = static_cast<_Float16>(f);
      auto bits = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(f) >> 16);
      const void* from = &bits;
      if (type == CUDA_R_64F) from = &values[i];
      if (type == CUDA_R_32F) from = &f;
      if (type == CUDA_R_16F) from = &half;
      std::memcpy(raw.data() + i * bytes_of(type), from, bytes_of(type));
    }
    REQUIRE(cudaMemcpy(p, raw.data(), raw.size(), cudaMemcpyHostToDevice) == cudaSuccess);
  }
  /// Only the columns: what is between them may be unwritten.
  double got(std::size_t i, std::size_t j, std::size_t b = 0) const {
    char raw[8] = {};
    REQUIRE(cudaMemcpy(raw, static_cast<char*>(p) + (b * stride + j * ld + i) * bytes_of(type), bytes_of(type), cudaMemcpyDeviceToHost) == cudaSuccess);
    double d;
    float f;
    _Float16 half;
    std::uint16_t bits;
    if (type == CUDA_R_64F) return std::memcpy(&d, raw, 8), d;
    if (type == CUDA_R_32F) return std::memcpy(&f, raw, 4), static_cast<double>(f);
    if (type == CUDA_R_16F) return std::memcpy(&half, raw, 2), static_cast<double>(static_cast<float>(half));
    return std::memcpy(&bits, raw, 2), static_cast<double>(std::bit_cast<float>(std::uint32_t(bits) << 16));
  }

  cudaDataType_t type;
  std::size_t rows, columns, ld, stride, batch;
  std::vector<double> values;
  void* p = nullptr;
};

struct Layout {
  cublasLtMatrixLayout_t l = nullptr;
  explicit Layout(const Matrix& m) {
    REQUIRE(cublasLtMatrixLayoutCreate(&l, m.type, m.rows, m.columns, static_cast<std::int64_t>(m.ld)) == CUBLAS_STATUS_SUCCESS);
    auto batch = static_cast<std::int32_t>(m.batch);
    auto stride = static_cast<std::int64_t>(m.stride);
    REQUIRE(cublasLtMatrixLayoutSetAttribute(l, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch, sizeof batch) == CUBLAS_STATUS_SUCCESS);
    REQUIRE(cublasLtMatrixLayoutSetAttribute(l, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof stride) == CUBLAS_STATUS_SUCCESS);
  }
  ~Layout() { cublasLtMatrixLayoutDestroy(l); }
  Layout(const Layout&) = delete;
  Layout& operator=(const Layout&) = delete;
};

struct Product {
  cublasLtHandle_t handle = nullptr;
  cublasLtMatmulDesc_t desc = nullptr;
  bool is_double;
  Product(cublasComputeType_t compute, cudaDataType_t scale) : is_double(scale == CUDA_R_64F) {
    REQUIRE(cublasLtCreate(&handle) == CUBLAS_STATUS_SUCCESS);
    REQUIRE(cublasLtMatmulDescCreate(&desc, compute, scale) == CUBLAS_STATUS_SUCCESS);
  }
  ~Product() { cublasLtMatmulDescDestroy(desc), cublasLtDestroy(handle); }
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;
  template <class T>
  void set(cublasLtMatmulDescAttributes_t attribute, T value) {
    REQUIRE(cublasLtMatmulDescSetAttribute(desc, attribute, &value, sizeof value) == CUBLAS_STATUS_SUCCESS);
  }

  cublasStatus_t operator()(double alpha, const Matrix& a, const Matrix& b, double beta, const Matrix& c, const Matrix& d) {
    Layout la(a), lb(b), lc(c), ld(d);
    cublasLtMatmulHeuristicResult_t results[5];
    int found = 0;
    auto status = cublasLtMatmulAlgoGetHeuristic(handle, desc, la.l, lb.l, lc.l, ld.l, nullptr, 5, results, &found);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    REQUIRE(found > 1);
    CHECK(results[1].workspaceSize == 0);
    int id = -1;
    CHECK(cublasLtMatmulAlgoConfigGetAttribute(&results[1].algo, CUBLASLT_ALGO_CONFIG_ID, &id, sizeof id, nullptr) == CUBLAS_STATUS_SUCCESS);
    CHECK(id == 1);
    auto alpha_f = static_cast<float>(alpha), beta_f = static_cast<float>(beta);
    const void *pa = is_double ? static_cast<void*>(&alpha) : &alpha_f, *pb = is_double ? static_cast<void*>(&beta) : &beta_f;
    return cublasLtMatmul(handle, desc, pa, a.p, la.l, b.p, lb.l, pb, c.p, lc.l, d.p, ld.l, &results[1].algo, nullptr, 0, nullptr);
  }
};

double gelu(double x) { return 0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))); }
double gelu_slope(double x) {
  const double h = 1e-5;
  return (gelu(x + h) - gelu(x - h)) / (2 * h);
}

}  // namespace

TEST_CASE("products of every type, transposition and batch") {
  struct Types { cudaDataType_t in, out; cublasComputeType_t compute; double tolerance; };
  const Types all[] = {
    {CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F, 1e-5},
    {CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F_FAST_TF32, 4e-3},
    {CUDA_R_64F, CUDA_R_64F, CUBLAS_COMPUTE_64F, 1e-13},
    {CUDA_R_16BF, CUDA_R_32F, CUBLAS_COMPUTE_32F, 1e-5},
    {CUDA_R_16BF, CUDA_R_16BF, CUBLAS_COMPUTE_32F, 1e-2},
    {CUDA_R_16F, CUDA_R_16F, CUBLAS_COMPUTE_32F, 1e-3},
  };
  for (auto [in, out, compute, tolerance] : all)
    for (int transposes = 0; transposes < 4; ++transposes)
      for (std::size_t batch : {1u, 3u}) {
        const std::size_t m = 5, n = 3, k = 11;
        bool ta = transposes & 1, tb = transposes & 2;
        Matrix a(in, ta ? k : m, ta ? m : k, 12, batch), b(in, tb ? n : k, tb ? k : n, 13, batch);
        Matrix c(out, m, n, 6, batch), d(out, m, n, 7, batch, true);
        Product product(compute, in == CUDA_R_64F ? CUDA_R_64F : CUDA_R_32F);
        product.set(CUBLASLT_MATMUL_DESC_TRANSA, ta ? CUBLAS_OP_T : CUBLAS_OP_N);
        product.set(CUBLASLT_MATMUL_DESC_TRANSB, tb ? CUBLAS_OP_T : CUBLAS_OP_N);
        REQUIRE(product(2, a, b, 0.5, c, d) == CUBLAS_STATUS_SUCCESS);
        for (std::size_t s = 0; s < batch; ++s)
          for (std::size_t i = 0; i < m; ++i)
            for (std::size_t j = 0; j < n; ++j) {
              double sum = 0;
              for (std::size_t l = 0; l < k; ++l) sum += (ta ? a.at(l, i, s) : a.at(i, l, s)) * (tb ? b.at(j, l, s) : b.at(l, j, s));
              CHECK(d.got(i, j, s) == Approx(2 * sum + 0.5 * c.at(i, j, s)).margin(tolerance).epsilon(tolerance));
            }
      }
}

TEST_CASE("a product added to what is there, in place") {
  Matrix a(CUDA_R_32F, 4, 4, 4), b(CUDA_R_32F, 4, 4, 4), d(CUDA_R_32F, 4, 4, 4);
  Product product(CUBLAS_COMPUTE_32F, CUDA_R_32F);
  REQUIRE(product(1, a, b, 1, d, d) == CUBLAS_STATUS_SUCCESS);
  double sum = d.at(1, 2);
  for (std::size_t l = 0; l < 4; ++l) sum += a.at(1, l) * b.at(l, 2);
  CHECK(d.got(1, 2) == Approx(sum));
}

TEST_CASE("every epilogue") {
  const std::size_t m = 8, n = 5, k = 6;
  for (auto type : {CUDA_R_32F, CUDA_R_16BF}) {
    double tolerance = type == CUDA_R_32F ? 1e-5 : 2e-2;
    for (auto epilogue : {CUBLASLT_EPILOGUE_BIAS, CUBLASLT_EPILOGUE_GELU, CUBLASLT_EPILOGUE_GELU_BIAS, CUBLASLT_EPILOGUE_GELU_AUX,
                          CUBLASLT_EPILOGUE_GELU_AUX_BIAS, CUBLASLT_EPILOGUE_DGELU, CUBLASLT_EPILOGUE_DGELU_BGRAD, CUBLASLT_EPILOGUE_BGRADA,
                          CUBLASLT_EPILOGUE_BGRADB}) {
      INFO(epilogue);
      bool biased = epilogue & 4, gelus = epilogue & 32, dgelus = epilogue & 64, has_aux = epilogue & 128, bgrad = epilogue & (16 | 256 | 512);
      Matrix a(type, m, k, m), b(type, k, n, k), d(type, m, n, m, 1, true), aux(type, m, n, 16, 1, !dgelus), bias(type, m, 1, m, 1, !biased);
      Product product(CUBLAS_COMPUTE_32F, CUDA_R_32F);
      product.set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue);
      if (biased || bgrad) product.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias.p);
      if (has_aux) {
        product.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, aux.p);
        product.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, std::int64_t{16});
      }
      REQUIRE(product(1, a, b, 0, d, d) == CUBLAS_STATUS_SUCCESS);
      std::vector<double> row_sums(m);
      for (std::size_t i = 0; i < m; ++i)
        for (std::size_t j = 0; j < n; ++j) {
          double x = biased ? bias.at(i, 0) : 0;
          for (std::size_t l = 0; l < k; ++l) x += a.at(i, l) * b.at(l, j);
          if (gelus && has_aux) CHECK(aux.got(i, j) == Approx(x).margin(tolerance));
          double y = gelus ? gelu(x) : dgelus ? x * gelu_slope(aux.at(i, j)) : x;
          CHECK(d.got(i, j) == Approx(y).margin(tolerance));
          row_sums[i] += y;
        }
      if (epilogue == CUBLASLT_EPILOGUE_DGELU_BGRAD)
        for (std::size_t i = 0; i < m; ++i) CHECK(bias.got(i, 0) == Approx(row_sums[i]).margin(3 * tolerance));
      if (epilogue == CUBLASLT_EPILOGUE_BGRADA)
        for (std::size_t i = 0; i < m; ++i) {
          double sum = 0;
          for (std::size_t l = 0; l < k; ++l) sum += a.at(i, l);
          CHECK(bias.got(i, 0) == Approx(sum).margin(tolerance));
        }
      if (epilogue == CUBLASLT_EPILOGUE_BGRADB)
        for (std::size_t j = 0; j < n; ++j) {
          double sum = 0;
          for (std::size_t l = 0; l < k; ++l) sum += b.at(l, j);
          CHECK(bias.got(j, 0) == Approx(sum).margin(tolerance));
        }
    }
  }
}

TEST_CASE("what cuBLASLt refuses is refused") {
  Matrix a(CUDA_R_32F, 8, 4, 8), b(CUDA_R_32F, 4, 8, 4), d(CUDA_R_32F, 8, 8, 8);
  Matrix low(CUDA_R_16BF, 8, 4, 8), narrow(CUDA_R_32F, 8, 4, 7);
  Product plain(CUBLAS_COMPUTE_32F, CUDA_R_32F);
  CHECK(plain(1, a, b, 0, d, d) == CUBLAS_STATUS_SUCCESS);
  CHECK(plain(1, a, a, 0, d, d) == CUBLAS_STATUS_INVALID_VALUE);          // shapes
  CHECK(plain(1, narrow, b, 0, d, d) == CUBLAS_STATUS_INVALID_VALUE);     // a leading dimension that is too small
  CHECK(plain(1, low, b, 0, d, d) == CUBLAS_STATUS_NOT_SUPPORTED);        // two types
  Product wide(CUBLAS_COMPUTE_64F, CUDA_R_64F);
  CHECK(wide(1, a, b, 0, d, d) == CUBLAS_STATUS_NOT_SUPPORTED);
  Product biased(CUBLAS_COMPUTE_32F, CUDA_R_32F);
  biased.set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
  CHECK(biased(1, a, b, 0, d, d) == CUBLAS_STATUS_INVALID_VALUE);         // no pointer
  Product saving(CUBLAS_COMPUTE_32F, CUDA_R_32F);
  saving.set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_GELU_AUX);
  saving.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, static_cast<void*>(static_cast<char*>(a.p) + 4));
  CHECK(saving(1, a, b, 0, d, d) == CUBLAS_STATUS_INVALID_VALUE);         // no leading dimension
  saving.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, std::int64_t{8});
  CHECK(saving(1, a, b, 0, d, d) == CUBLAS_STATUS_INVALID_VALUE);         // a pointer that is not aligned
  CHECK(cublasLtMatmulDescSetAttribute(saving.desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &d, 8) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(std::string(cublasLtGetStatusString(CUBLAS_STATUS_NOT_SUPPORTED)) == "the functionality requested is not supported");
  CHECK(std::string(cublasGetStatusName(CUBLAS_STATUS_NOT_SUPPORTED)) == "CUBLAS_STATUS_NOT_SUPPORTED");
}

TEST_CASE("products are the stream's work, and a graph's") {
  Stream s;
  Matrix a(CUDA_R_32F, 2, 2, 2), b(CUDA_R_32F, 2, 2, 2), d(CUDA_R_32F, 2, 2, 2);
  Product product(CUBLAS_COMPUTE_32F, CUDA_R_32F);
  Layout la(a), lb(b), ld(d);
  float one = 1;
  REQUIRE(cudaStreamBeginCapture(s, cudaStreamCaptureModeRelaxed) == cudaSuccess);
  REQUIRE(cublasLtMatmul(product.handle, product.desc, &one, a.p, la.l, b.p, lb.l, &one, d.p, ld.l, d.p, ld.l, nullptr, nullptr, 0, s) == CUBLAS_STATUS_SUCCESS);
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  REQUIRE(cudaStreamEndCapture(s, &graph) == cudaSuccess);
  REQUIRE(cudaGraphInstantiate(&exec, graph, 0) == cudaSuccess);
  double sum = a.at(0, 0) * b.at(0, 0) + a.at(0, 1) * b.at(1, 0);
  for (int i = 0; i < 3; ++i) REQUIRE(cudaGraphLaunch(exec, s) == cudaSuccess);
  REQUIRE(cudaStreamSynchronize(s) == cudaSuccess);
  CHECK(d.got(0, 0) == Approx(d.at(0, 0) + 3 * sum));
  cudaGraphExecDestroy(exec), cudaGraphDestroy(graph);
}

TEST_CASE("products read and write what is there") {
  check_dies([] {
    Matrix a(CUDA_R_32F, 2, 2, 2, 1, true), b(CUDA_R_32F, 2, 2, 2), d(CUDA_R_32F, 2, 2, 2, 1, true);
    Product product(CUBLAS_COMPUTE_32F, CUDA_R_32F);
    product(1, a, b, 0, d, d), cudaDeviceSynchronize();
  }, "a matrix product (its a) reads byte 0 of an allocation of", "which nothing has written");
  check_dies([] {
    Matrix a(CUDA_R_32F, 2, 2, 2), b(CUDA_R_32F, 2, 2, 2), d(CUDA_R_32F, 2, 2, 2);
    Product product(CUBLAS_COMPUTE_32F, CUDA_R_32F);
    cudaFree(d.p);
    product(1, a, b, 0, d, d), cudaDeviceSynchronize();
  }, "a matrix product (its d) writes byte 0 of an allocation of", "that was freed");
}
