// The products of a GPU: of operands with any strides, in batches, added to what is there.
#pragma once
#include "tricycle/kernel/gemm_cublas.hpp"
#include "tricycle/kernel/map.hpp"
#include <optional>

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace kernel {

/// How far apart neighbours lie along each axis of a batch of matrices, in elements.
struct Strides { Index batch0, batch1, row, column; };

/// C[b0, b1] (m, n) = or += A[b0, b1] (m, k) B[b0, b1] (k, n).
struct Gemm {
  Index batch0 = 1, batch1 = 1, m, n, k;
  Strides a, b, c;
  bool accumulate = false;
};

#ifdef TRICYCLE_CUDA
namespace detail {

/// The matrices of one operand as cuBLASLt can read them: in place where numbers of a row, or of a column, lie side by side.
template <class T>
class GpuOperand {
 public:
  GpuOperand(Device device, Index batch0, Index batch1, Index rows, Index columns, Strides s, const T* at) : at_(at), batch0_(s.batch0) {
    if (is_readable(rows, columns, s.row, s.column)) matrix_ = {rows, columns, rows > 1 ? s.row : columns, false, s.batch1};
    else if (is_readable(columns, rows, s.column, s.row)) matrix_ = {rows, columns, columns > 1 ? s.column : rows, true, s.batch1};
    else {
      copy_.emplace(batch0 * batch1 * rows * columns, device);
      Shape shape{batch0, batch1, rows, columns};
      map(device, Walk<2>(shape, {contiguous(shape), Strides8{s.batch0, s.batch1, s.row, s.column}}), Same{}, Gather<T>{copy_->data(), false}, at);
      at_ = copy_->data();
      batch0_ = batch1 * rows * columns;
      matrix_ = {rows, columns, columns, false, rows * columns};
    }
  }
  const gpu::Matrix& matrix() const { return matrix_; }
  const T* at(Index batch0) const { return at_ + batch0 * batch0_; }

  /// Do `length` numbers lie side by side, `count` times?
  static bool is_readable(Index count, Index length, Index stride, Index step) { return (step == 1 || length == 1) && (stride >= length || count == 1); }

 private:
  std::optional<gpu::Scratch<T>> copy_;
  const T* at_;
  Index batch0_;
  gpu::Matrix matrix_{};
};

/// c = or += x, read by strides of its own. c's axes are walked from the longest stride to the shortest.
template <class C>
void place(Device device, const Gemm& g, Strides from, const C* x, C* c) {
  struct Axis { Index extent, to, from; };
  std::array<Axis, 4> axes{{{g.batch0, g.c.batch0, from.batch0}, {g.batch1, g.c.batch1, from.batch1}, {g.m, g.c.row, from.row}, {g.n, g.c.column, from.column}}};
  std::stable_sort(axes.begin(), axes.end(), [](const Axis& a, const Axis& b) { return a.extent == 1 ? b.extent != 1 : b.extent != 1 && a.to > b.to; });
  Shape shape;
  Strides8 to{}, at{};
  for (std::size_t i = 0; i < 4; ++i) shape.push_back(axes[i].extent), to[i] = axes[i].to, at[i] = axes[i].from;
  map(device, Walk<2>(shape, {to, at}), Same{}, Gather<C>{c, g.accumulate}, x);
}

template <class T, class C>
void gemm_on_gpu(Device device, Gemm g, const T* a, const T* b, C* c) {
  if (g.batch0 == 0 || g.batch1 == 0 || g.m == 0 || g.n == 0) return;
  if (g.k == 0) {
    gpu::Scratch<C> zero(1, device);
    gpu::check(cudaMemsetAsync(zero.data(), 0, sizeof(C), gpu::stream(device)), "cudaMemset");
    if (!g.accumulate) place(device, g, {}, zero.data(), c);
    return;
  }
  // cuBLASLt knows one axis of batches. The other one, the shorter, is walked here.
  if (g.batch0 > g.batch1) {
    std::swap(g.batch0, g.batch1);
    for (Strides* s : {&g.a, &g.b, &g.c}) std::swap(s->batch0, s->batch1);
  }
  using Operand = GpuOperand<T>;
  auto multiply = [&](const Operand& x, const Operand& y, const gpu::Matrix& z, C* at, Index i, bool add) {
    bool done = gpu::multiply(device, x.matrix(), x.at(i), y.matrix(), y.at(i), z, at, g.batch1, add);
    check(done, "gemm: cublasLt has no algorithm for a product of ", dtype_name<T>(), " (", g.m, ", ", g.k, ") and (", g.k, ", ", g.n, ")");
  };
  if (!Operand::is_readable(g.m, g.n, g.c.row, g.c.column) && Operand::is_readable(g.n, g.m, g.c.column, g.c.row)) {   // C by columns: Cᵀ = Bᵀ Aᵀ
    auto turned = [](Strides s) { return Strides{s.batch0, s.batch1, s.column, s.row}; };
    return gemm_on_gpu(device, {g.batch0, g.batch1, g.n, g.m, g.k, turned(g.b), turned(g.a), turned(g.c), g.accumulate}, b, a, c);
  }
  Operand x(device, g.batch0, g.batch1, g.m, g.k, g.a, a), y(device, g.batch0, g.batch1, g.k, g.n, g.b, b);
  if (!Operand::is_readable(g.m, g.n, g.c.row, g.c.column)) {
    gpu::Scratch<C> product(g.batch0 * g.batch1 * g.m * g.n, device);
    Strides own{g.batch1 * g.m * g.n, g.m * g.n, g.n, 1};
    for (Index i = 0; i < g.batch0; ++i)
      multiply(x, y, {g.m, g.n, g.n, false, own.batch1}, product.data() + i * own.batch0, i, false);
    return place(device, g, own, product.data(), c);
  }
  gpu::Matrix z{g.m, g.n, g.m > 1 ? g.c.row : g.n, false, g.c.batch1};
  for (Index i = 0; i < g.batch0; ++i) multiply(x, y, z, c + i * g.c.batch0, i, g.accumulate);
}

}  // namespace detail
#endif

/// C = or += A B with more in the same go, where a GPU's library can; false, with nothing done, where it cannot.
template <class T>
bool gemm_with_epilogue([[maybe_unused]] Device device, [[maybe_unused]] const Gemm& g, [[maybe_unused]] const T* a, [[maybe_unused]] const T* b, [[maybe_unused]] T* c,
                        [[maybe_unused]] const Epilogue& epilogue) {
#ifdef TRICYCLE_CUDA
  if (device.is_cpu() || g.m == 0 || g.n == 0 || g.k == 0) return false;
  if (epilogue.gelu || epilogue.gelu_back) {
    if (sizeof(T) > 2) return false;                     // cuBLASLt's GELU has half of a double's digits, and not all of a float's
    if (g.c.row % 8 != 0) return false;                  // its demand of what goes into GELU
  }
  detail::GpuOperand<T> x(device, 1, 1, g.m, g.k, g.a, a), y(device, 1, 1, g.k, g.n, g.b, b);
  return gpu::multiply(device, x.matrix(), x.at(0), y.matrix(), y.at(0), gpu::Matrix{g.m, g.n, g.c.row, false, 0}, c, 1, g.accumulate, epilogue);
#else
  return false;
#endif
}

}  // namespace kernel
}
}  // namespace tricycle
