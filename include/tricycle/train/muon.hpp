// Muon: matrices move by the orthogonal matrix that is nearest to where their gradients point.
#pragma once
#include <algorithm>
#include <cmath>
#include <map>
#include <utility>
#include "tricycle/kernel/gemm.hpp"
#include "tricycle/train/clip.hpp"
#include "tricycle/train/optimisers.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// What Muon is for: all matrices but embeddings, by their name, and a model's head.
inline bool hidden_matrices(const std::string& name, const Shape& shape) {
  return shape.rank() == 2 && name.find("embedding") == std::string::npos && !name.starts_with("head");
}

namespace detail {

template <class M>
struct MuonMomentum {
  static constexpr bool wide = std::same_as<M, float>;
  Gate gate; M momentum; Row<const M> grad; Row<M> m, u;
  TRICYCLE_HD void operator()(auto i) const {
    using R = Number<M, decltype(i)>;
    R g = grad[i], mean = R(momentum) * R(m[i]) + R(1 - momentum) * g;
    if (gate.is_open()) m[i] = mean;
    u[i] = R(1 - momentum) * g + R(momentum) * mean;
  }
};

template <class M>
struct Normalise {
  static constexpr bool wide = std::same_as<M, float>;
  const double* square; Row<M> u;
  TRICYCLE_HD void operator()(auto i) const {
    using R = Number<M, decltype(i)>;
    u[i] = R(u[i]) * R(static_cast<M>(1 / (math::sqrt(*square) + 1e-7)));
  }
};

/// One row of a I + b A + c A², which stands in its place.
template <class M>
struct Quintic {
  Index n; const M* a; M* squared;
  template <class Team> TRICYCLE_HD void operator()(const Team& row) const {
    const Index at = row.index * n, diagonal = row.index % n;
    row.each([&](Index i) { squared[at + i] = M(2.0315) * squared[at + i] + M(-4.775) * a[at + i] + (i == diagonal ? M(3.4445) : M(0)); });
  }
};

template <class M>
struct MuonStep {
  static constexpr bool wide = std::same_as<M, float>;
  Move move; M factor, decay; Row<const M> u; Row<M> x;
  TRICYCLE_HD void operator()(auto i) const {
    if (!move.gate.is_open()) return;
    using R = Number<M, decltype(i)>;
    R was = x[i];
    x[i] = was - R(static_cast<M>(move.learning_rate.get())) * (R(factor) * u[i] + R(decay) * was);
  }
};

/// Five steps of an iteration that brings singular values near 1, those between 0.02 and 1 to between 0.68 and 1.14: with
/// A = X Xᵀ, X becomes (a I + b A + c A²) X. A is as small as can be: matrices are seen as wide ones. What comes of x is in y,
/// and x is overwritten.   (count, rows, columns)
template <class M>
void orthogonalise(Tensor<M> x, Tensor<M> y) {
  using kernel::Gemm, kernel::Strides;
  const Device device = x.device();
  const Index count = x.shape()[0], rows = x.shape()[1], columns = x.shape()[2], small = (std::min)(rows, columns), large = (std::max)(rows, columns);
  const Strides by_rows{rows * columns, 0, columns, 1}, by_columns{rows * columns, 0, 1, columns}, square{small * small, 0, small, 1};
  const Strides wide = rows <= columns ? by_rows : by_columns, turned = rows <= columns ? by_columns : by_rows;
  Tensor<M> a(Shape{count, small, small}, device), polynomial(a.shape(), device);
  for (int i = 0; i < 5; ++i, std::swap(x, y)) {
    kernel::gemm(device, Gemm{.batch0 = count, .m = small, .n = small, .k = large, .a = wide, .b = turned, .c = square}, x.data(), x.data(), a.mutable_data());
    kernel::gemm(device, Gemm{.batch0 = count, .m = small, .n = small, .k = small, .a = square, .b = square, .c = square}, a.data(), a.data(), polynomial.mutable_data());
    kernel::rows(device, count * small, small, Quintic<M>{small, a.data(), polynomial.mutable_data()});
    kernel::gemm(device, Gemm{.batch0 = count, .m = small, .n = large, .k = small, .a = square, .b = wide, .c = wide}, polynomial.data(), x.data(), y.mutable_data());
  }
}

}  // namespace detail

/// Momentum, orthogonalised (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon). For the hidden matrices of a
/// model; leave the rest to another optimiser by ParameterGroups.
///   m = β m + (1 - β) grad;   U = β m + (1 - β) grad, made orthogonal, nearly
///   x -= lr (√max(1, to / from) U + decay x)               x: (from, to)
struct Muon {
  double learning_rate = 0.02, momentum = 0.95, weight_decay = 0;
  Chooses decays = every_parameter;
  Memory memory{};

  void operator()(const Parameters auto& parameters) { (*this)(parameters, memory); }
  void operator()(const std::string& name, std::same_as<Parameter> auto& parameter) { (*this)(NamedParameters{{name, &parameter}}); }
  void operator()(const Parameters auto& parameters, Memory& kept, const double* overflow = nullptr) {
    check_parameters(parameters);
    Alike floats, doubles;
    for (auto& [name, parameter] : parameters) {
      const Shape shape = parameter->shape();
      const bool is_float = parameter->visit([]<class M>(Tensor<M>&) { return std::same_as<M, float>; });
      if (shape.size() > 0) (is_float ? floats : doubles)[{shape[0], shape[1]}].push_back({name, parameter});
    }
    if (!floats.empty()) move<float>(floats, kept, overflow);
    if (!doubles.empty()) move<double>(doubles, kept, overflow);
  }

  /// Throws, before anything has moved, unless all are matrices of one device that have gradients.
  void check_parameters(const NamedParameters& parameters) const {
    for (auto& [name, parameter] : parameters)
      check(parameter->shape().rank() == 2, "muon: \"", name, "\" of shape ", parameter->shape(), " is not a matrix: leave it to another optimiser by ParameterGroups");
    detail::device_to_update(parameters);
  }

 private:
  using Alike = std::map<std::pair<Index, Index>, NamedParameters>;      // by shape: what is alike is one batch of products

  template <class M>
  void move(const Alike& alike, Memory& kept, const double* overflow) {
    NamedParameters all;
    Index size = 0;
    for (auto& [shape, some] : alike) {
      all.insert(all.end(), some.begin(), some.end());
      size += shape.first * shape.second * static_cast<Index>(some.size());
    }
    detail::Update update(all, kept, 1, learning_rate, overflow);
    const Device device = update.device;
    Tensor<M> u(Shape{size}, device), orthogonal(u.shape(), device);     // one matrix after the other
    Tensor<double> squares(Shape{static_cast<Index>(all.size())}, device);

    // One launch for all: make(i, x, at) is the functor for the i-th matrix, x, whose U begins `at` there.
    auto for_all = [&]<class Make>(Make make) {
      std::vector<kernel::Share<std::invoke_result_t<Make, std::size_t, Tensor<M>&, Index>>> shares;
      Index at = 0;
      for (std::size_t i = 0; i < all.size(); ++i)
        all[i].second->visit([&]<class N>(Tensor<N>& x) {
          if constexpr (std::same_as<N, M>) shares.push_back({1, x.size(), make(i, x, at)});
          at += x.size();
        });
      kernel::each_of(device, std::move(shares));
    };
    std::vector<Tensor<M>> each;
    for_all([&](std::size_t i, Tensor<M>& x, Index at) {
      each.push_back(u.view(x.shape(), at));
      return detail::MuonMomentum<M>{update.move.gate, M(momentum), {x.grad().data()}, {detail::remembered_at<M>(*update.moments[i], 0)}, {each.back().mutable_data()}};
    });
    detail::sums_of_squares(device, each, squares.mutable_data());
    for_all([&](std::size_t i, Tensor<M>&, Index) { return detail::Normalise<M>{squares.data() + i, {each[i].mutable_data()}}; });
    Index at = 0;
    for (auto& [shape, some] : alike) {
      const Shape batch{static_cast<Index>(some.size()), shape.first, shape.second};
      detail::orthogonalise(u.view(batch, at), orthogonal.view(batch, at));
      at += batch.size();
    }
    for_all([&](std::size_t i, Tensor<M>& x, Index begin) {
      const Index from = x.shape()[0], to = x.shape()[1];
      const double factor = std::sqrt((std::max)(1.0, static_cast<double>(to) / static_cast<double>(from)));
      return detail::MuonStep<M>{update.move, M(factor), M(decays(all[i].first, x.shape()) ? weight_decay : 0), {orthogonal.data() + begin}, {x.mutable_data()}};
    });
  }
};

}
}  // namespace tricycle
