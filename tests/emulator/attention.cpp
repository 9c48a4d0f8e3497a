// Attention by the definition, and its gradients: those of the queries are added up in no fixed order, as cuDNN does it.
#include "attention.hpp"
#include <cmath>
#include <vector>
#include "matmul.hpp"
#include "memory.hpp"
#include "report.hpp"

namespace emulator {

namespace {

std::int64_t place(const Tokens& x, std::int64_t b, std::int64_t h, std::int64_t t) { return b * x.strides[0] + h * x.strides[1] + t * x.strides[2]; }
void* row(const Tokens& x, std::int64_t b, std::int64_t h, std::int64_t t) { return static_cast<char*>(x.at) + place(x, b, h, t) * static_cast<std::int64_t>(size_of(x.type)); }

using Rows = std::vector<std::vector<double>>;

/// All tokens of one head.
Rows read(const Tokens& x, std::int64_t b, std::int64_t h, const char* who) {
  const auto n = static_cast<std::size_t>(x.sizes[3]);
  Rows rows(static_cast<std::size_t>(x.sizes[2]), std::vector<double>(n));
  for (std::size_t t = 0; t < rows.size(); ++t) {
    const void* p = row(x, b, h, static_cast<std::int64_t>(t));
    check_read(p, n * size_of(x.type), who);
    for (std::size_t i = 0; i < n; ++i) rows[t][i] = load(p, x.type, static_cast<std::int64_t>(i));
  }
  return rows;
}
void write(const Tokens& x, std::int64_t b, std::int64_t h, const Rows& rows, const char* who) {
  for (std::size_t t = 0; t < rows.size(); ++t) {
    void* p = row(x, b, h, static_cast<std::int64_t>(t));
    check_write(p, rows[t].size() * size_of(x.type), who);
    for (std::size_t i = 0; i < rows[t].size(); ++i) store(p, x.type, static_cast<std::int64_t>(i), rows[t][i]);
  }
}

double dot(const std::vector<double>& x, const std::vector<double>& y) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
  return sum;
}
void add(std::vector<double>& to, double factor, const std::vector<double>& x) {
  for (std::size_t i = 0; i < x.size(); ++i) to[i] += factor * x[i];
}

double score(const Attention& a, const Rows& q, const Rows& k, std::size_t i, std::size_t j) {
  return a.is_masked && j > i ? static_cast<double>(a.unseen) : static_cast<double>(a.scale) * dot(q[i], k[j]);
}

void forward(const Attention& a, std::int64_t b, std::int64_t h) {
  const auto q = read(a.q, b, h, "cuDNN's attention (its q)"), k = read(a.k, b, h, "cuDNN's attention (its k)"), v = read(a.v, b, h, "cuDNN's attention (its v)");
  Rows y(q.size(), std::vector<double>(v[0].size())), logs(q.size(), std::vector<double>(1));
  for (std::size_t i = 0; i < q.size(); ++i) {
    std::vector<double> weights(k.size());
    double top = -HUGE_VAL, sum = 0;
    for (std::size_t j = 0; j < k.size(); ++j) top = std::fmax(top, weights[j] = score(a, q, k, i, j));
    for (auto& w : weights) sum += w = std::exp(w - top);
    for (std::size_t j = 0; j < k.size(); ++j) add(y[i], weights[j] / sum, v[j]);
    logs[i][0] = top + std::log(sum);
  }
  write(a.y, b, h, y, "cuDNN's attention (its o)");
  write(a.logs, b, h, logs, "cuDNN's attention (its stats)");
}

void backward(const Attention& a, std::int64_t b, std::int64_t h) {
  const auto q = read(a.q, b, h, "cuDNN's attention (its q)"), k = read(a.k, b, h, "cuDNN's attention (its k)"), v = read(a.v, b, h, "cuDNN's attention (its v)");
  const auto y = read(a.y, b, h, "cuDNN's attention (its o)"), dy = read(a.dy, b, h, "cuDNN's attention (its dO)"), logs = read(a.logs, b, h, "cuDNN's attention (its stats)");
  Rows dq(q.size(), std::vector<double>(q[0].size())), dk(k.size(), std::vector<double>(q[0].size())), dv(k.size(), std::vector<double>(v[0].size()));
  auto* sums = static_cast<float*>(a.workspace) + (b * a.q.sizes[1] + h) * a.q.sizes[2] * a.q.sizes[3];
  for (std::size_t i = 0; i < q.size(); ++i) {
    auto* sum = sums + i * q[0].size();
    check_write(sum, q[0].size() * sizeof(float), "cuDNN's attention (its workspace)");
    for (std::size_t n = 0; n < q[0].size(); ++n) sum[n] = 0;
    std::vector<std::size_t> order(k.size());
    for (std::size_t j = 0; j < k.size(); ++j) order[j] = j;
    for (std::size_t j = k.size(); j > 1; --j) std::swap(order[j - 1], order[dice.below(j)]);
    const double inner = dot(dy[i], y[i]);
    for (std::size_t j : order) {
      const double p = std::exp(score(a, q, k, i, j) - logs[i][0]), ds = p * (dot(dy[i], v[j]) - inner) * static_cast<double>(a.scale);
      add(dv[j], p, dy[i]), add(dk[j], ds, q[i]);
      for (std::size_t n = 0; n < q[0].size(); ++n) sum[n] += static_cast<float>(ds * k[j][n]);
    }
    for (std::size_t n = 0; n < q[0].size(); ++n) dq[i][n] = static_cast<double>(sum[n]);
  }
  write(a.dq, b, h, dq, "cuDNN's attention (its dQ)");
  write(a.dk, b, h, dk, "cuDNN's attention (its dK)");
  write(a.dv, b, h, dv, "cuDNN's attention (its dV)");
}

}  // namespace

std::int64_t workspace_of(const Attention& a) {
  const auto [batch, heads, queries, size] = a.q.sizes;
  return a.is_back ? batch * heads * queries * size * static_cast<std::int64_t>(sizeof(float)) : 256;
}

void attend(const Attention& a) {
  check_write(a.workspace, static_cast<std::size_t>(workspace_of(a)), "cuDNN's attention (its workspace)");
  for (std::int64_t b = 0; b < a.q.sizes[0]; ++b)
    for (std::int64_t h = 0; h < a.q.sizes[1]; ++h) a.is_back ? backward(a, b, h) : forward(a, b, h);
}

}  // namespace emulator
