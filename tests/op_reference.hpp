// What ops ought to compute, as plain loops over long doubles: nothing here is shared with the library but its shapes.
#pragma once
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <type_traits>
#include <vector>
#include "tricycle/core/shape.hpp"

namespace reference {

using tricycle::Index;
using tricycle::Shape;
using Real = long double;
using Place = std::vector<Index>;                        // an index per axis

/// Where the number at `place` stands in a tensor of this shape, to which leading axes and extents of 1 are stretched.
inline std::size_t offset(const Shape& shape, const Place& place) {
  Index at = 0;
  for (int axis = 0; axis < shape.rank(); ++axis)
    at = at * shape[axis] + (shape[axis] == 1 ? 0 : place[place.size() - static_cast<std::size_t>(shape.rank() - axis)]);
  return static_cast<std::size_t>(at);
}

struct Numbers {
  Shape shape;
  std::vector<Real> at;
  Real operator[](const Place& place) const { return at[offset(shape, place)]; }
};

/// Every place of a shape (or of loops of these extents), in the order in which the numbers stand.
template <class Visit>
void visit(const Place& extents, Visit f) {
  Place place(extents.size(), 0);
  Index left = 1;
  for (Index n : extents) left *= n;
  for (; left > 0; --left) {
    f(place);
    for (std::size_t axis = extents.size(); axis-- > 0;) {
      if (++place[axis] < extents[axis]) break;
      place[axis] = 0;
    }
  }
}
template <class Visit>
void visit(const Shape& shape, Visit f) { visit(Place(shape.begin(), shape.end()), f); }

/// A tensor whose number at each place is f(place).
template <class F>
Numbers build(const Shape& shape, F f) {
  Numbers y{shape, {}};
  visit(shape, [&](const Place& place) { y.at.push_back(f(place)); });
  return y;
}

using Operands = std::vector<Numbers>;
using Function = std::function<Numbers(const Operands&)>;

/// f of one number of each operand, which broadcast. It gets them in an array.
inline Function each_of(std::function<Real(const Real*)> f) {
  return [f](const Operands& in) {
    Place extents;
    for (const Numbers& x : in)
      if (auto rank = static_cast<std::size_t>(x.shape.rank()); rank > extents.size()) extents.insert(extents.begin(), rank - extents.size(), 1);
    for (const Numbers& x : in)
      for (int i = 1; i <= x.shape.rank(); ++i)
        if (x.shape[-i] != 1) extents[extents.size() - static_cast<std::size_t>(i)] = x.shape[-i];
    std::vector<Real> here(in.size());
    return build(Shape(extents.begin(), extents.end()), [&](const Place& p) {
      std::transform(in.begin(), in.end(), here.begin(), [&](const Numbers& x) { return x[p]; });
      return f(here.data());
    });
  };
}

/// The same for f(a), f(a, b) or f(a, b, c).
template <class F>
Function each(F f) {
  return each_of([f](const Real* x) -> Real {
    if constexpr (std::is_invocable_v<F, Real>) return f(x[0]);
    else if constexpr (std::is_invocable_v<F, Real, Real>) return f(x[0], x[1]);
    else return f(x[0], x[1], x[2]);
  });
}

/// f(row) or f(row, its number) for every row of the last axis: a row of the same length.
template <class F>
Function by_row(F f) {
  return [f](const Operands& in) {
    Numbers y{in[0].shape, {}};
    const Index n = y.shape[-1], count = y.shape.product(0, y.shape.rank() - 1);
    for (Index r = 0; r < count; ++r) {
      auto from = in[0].at.begin() + r * n;
      std::vector<Real> row(from, from + n);
      if constexpr (std::is_invocable_v<F, std::vector<Real>>) row = f(row);
      else row = f(row, r);
      y.at.insert(y.at.end(), row.begin(), row.end());
    }
    return y;
  };
}

/// f of all the numbers that differ only in their place on `axes` (none named: of all).
template <class F>
Function over(std::vector<int> axes, F f, bool keepdims = false) {
  return [=](const Operands& in) {
    const Numbers& x = in[0];
    Shape kept = x.shape, result;
    std::vector<bool> gone(static_cast<std::size_t>(x.shape.rank()), axes.empty());
    for (int axis : axes) gone[static_cast<std::size_t>(axis < 0 ? axis + x.shape.rank() : axis)] = true;
    for (int axis = 0; axis < x.shape.rank(); ++axis) {
      if (gone[static_cast<std::size_t>(axis)]) kept = kept.with(axis, 1);
      if (keepdims || !gone[static_cast<std::size_t>(axis)]) result.push_back(kept[axis]);
    }
    std::vector<std::vector<Real>> groups(static_cast<std::size_t>(kept.size()));
    visit(x.shape, [&](const Place& p) { groups[offset(kept, p)].push_back(x[p]); });
    Numbers y{result, {}};
    for (auto& group : groups) y.at.push_back(f(group));
    return y;
  };
}

/// The same numbers, at another shape.
inline Numbers reshaped(Numbers x, const Shape& shape) { return {shape, std::move(x.at)}; }

/// Axis i is axis order[i] of what it was.
inline Numbers permuted(const Numbers& x, const std::vector<int>& order) {
  Shape shape;
  for (int axis : order) shape.push_back(x.shape[axis]);
  return build(shape, [&](const Place& to) {
    Place from(to.size());
    for (std::size_t i = 0; i < to.size(); ++i) from[static_cast<std::size_t>(order[i])] = to[i];
    return x[from];
  });
}

/// Places [from, to) of an axis.
inline Numbers part(const Numbers& x, int axis, Index from, Index to) {
  return build(x.shape.with(axis, to - from), [&](Place p) {
    p[static_cast<std::size_t>(axis)] += from;
    return x[p];
  });
}

/// Places from, from + step, ... of an axis, `count` of them.
inline Numbers every(const Numbers& x, int axis, Index from, Index count, Index step) {
  return build(x.shape.with(axis, count), [&](Place p) {
    Index& i = p[static_cast<std::size_t>(axis)];
    i = from + i * step;
    return x[p];
  });
}

/// a, then b along an axis.
inline Numbers joined(const Numbers& a, const Numbers& b, int axis) {
  const Index n = a.shape[axis];
  return build(a.shape.with(axis, n + b.shape[axis]), [&](Place p) {
    Index& i = p[static_cast<std::size_t>(axis)];
    if (i < n) return a[p];
    i -= n;
    return b[p];
  });
}

inline Real sum(const std::vector<Real>& x) {
  Real total = 0;
  for (Real v : x) total += v;
  return total;
}
inline Real mean(const std::vector<Real>& x) { return sum(x) / static_cast<Real>(x.size()); }
inline Real largest(const std::vector<Real>& x) { return *std::max_element(x.begin(), x.end()); }
inline Real where_largest(const std::vector<Real>& x) { return static_cast<Real>(std::max_element(x.begin(), x.end()) - x.begin()); }
inline Real smallest(const std::vector<Real>& x) { return *std::min_element(x.begin(), x.end()); }
inline Real where_smallest(const std::vector<Real>& x) { return static_cast<Real>(std::min_element(x.begin(), x.end()) - x.begin()); }
inline Real product(const std::vector<Real>& x) {
  Real all = 1;
  for (Real v : x) all *= v;
  return all;
}
inline Real variance(std::vector<Real> x) {
  const Real centre = mean(x);
  for (Real& v : x) v = (v - centre) * (v - centre);
  return mean(x);
}
inline Real log_sum_exp(std::vector<Real> x) {
  for (Real& v : x) v = std::exp(v);
  return std::log(sum(x));
}

/// The largest is taken off, or e^x would overflow; not that long doubles mind before 11,000.
inline std::vector<Real> softmax(std::vector<Real> x) {
  Real top = x.empty() ? 0 : largest(x), total = 0;
  for (Real& v : x) total += v = std::exp(v - top);
  for (Real& v : x) v /= total;
  return x;
}

/// Rows of mean 0 and variance 1.
inline Function normalised(Real eps) {
  return by_row([eps](std::vector<Real> x) {
    Real centre = mean(x), squares = 0;
    for (Real& v : x) v -= centre;
    for (Real v : x) squares += v * v;
    Real r = 1 / std::sqrt(squares / static_cast<Real>(x.size()) + eps);
    for (Real& v : x) v *= r;
    return x;
  });
}

/// Rows whose squares have the mean 1.
inline Function rms_normalised(Real eps) {
  return by_row([eps](std::vector<Real> x) {
    Real squares = 0;
    for (Real v : x) squares += v * v;
    for (Real& v : x) v /= std::sqrt(squares / static_cast<Real>(x.size()) + eps);
    return x;
  });
}

/// after(before(a), b, ...)
inline Function first_operand(Function before, Function after) {
  return [=](Operands in) {
    in[0] = before({in[0]});
    return after(in);
  };
}

/// -ln of the share that softmax gives to the truth of each row.
inline Real surprise(const std::vector<Real>& row, Index truth) { return -std::log(softmax(row)[static_cast<std::size_t>(truth)]); }

/// softmax(scale q kᵀ) v of (batch, tokens, heads, size) operands; `time_first`: of (tokens, batch, heads, size) keys and values.
inline Function attention(bool causal, Real scale = 0, bool time_first = false) {
  return [=](const Operands& in) {
    const Numbers &q = in[0], &k = in[1], &v = in[2];
    const Index queries = q.shape[1], keys = k.shape[time_first ? 0 : 1];
    const Real factor = scale != 0 ? scale : 1 / std::sqrt(static_cast<Real>(q.shape[3]));
    auto place = [&](const Place& p, Index key, Index i) { return time_first ? Place{key, p[0], p[2], i} : Place{p[0], key, p[2], i}; };
    Numbers y{q.shape, {}};
    visit(q.shape.with(3, 1), [&](const Place& p) {
      std::vector<Real> weights;
      for (Index key = 0; key < (causal ? p[1] + 1 + keys - queries : keys); ++key) {
        Real score = 0;
        for (Index i = 0; i < q.shape[3]; ++i) score += q[{p[0], p[1], p[2], i}] * k[place(p, key, i)];
        weights.push_back(score * factor);
      }
      weights = softmax(weights);
      for (Index i = 0; i < q.shape[3]; ++i) {
        Real sum = 0;
        for (std::size_t key = 0; key < weights.size(); ++key) sum += weights[key] * v[place(p, static_cast<Index>(key), i)];
        y.at.push_back(sum);
      }
    });
    return y;
  };
}

/// The loop nest that NumPy's subscripts mean: every letter is a loop, and an ellipsis is one loop an axis.
inline Function einsum(std::string subscript) {
  subscript.erase(std::remove(subscript.begin(), subscript.end(), ' '), subscript.end());
  return [=](const Operands& in) {
    std::vector<std::string> terms{""};                  // each operand's letters, then the result's
    const std::size_t arrow = subscript.find("->");
    const std::string left = subscript.substr(0, arrow);
    for (char c : left) c == ',' ? terms.push_back("") : terms.back().push_back(c);
    std::size_t dots = 0;
    for (std::size_t i = 0; i < in.size(); ++i)
      if (auto at = terms[i].find("..."); at != std::string::npos) {
        std::size_t n = static_cast<std::size_t>(in[i].shape.rank()) + 3 - terms[i].size();
        dots = std::max(dots, n);
        terms[i].replace(at, 3, std::string("9876543210").substr(10 - n));
      }
    std::string result = std::string("9876543210").substr(10 - dots);
    if (arrow != std::string::npos) {
      std::string written = subscript.substr(arrow + 2);
      if (auto at = written.find("..."); at != std::string::npos) written.replace(at, 3, result);
      result = written;
    } else {
      for (char c = 'A'; c <= 'z'; ++c)
        if (std::count(left.begin(), left.end(), c) == 1) result.push_back(c);
    }
    std::map<char, Index> extent;                        // 1 if it is 1 everywhere
    for (std::size_t i = 0; i < in.size(); ++i)
      for (std::size_t j = 0; j < terms[i].size(); ++j)
        if (Index n = in[i].shape[static_cast<int>(j)]; n != 1 || extent.count(terms[i][j]) == 0) extent[terms[i][j]] = n;
    Shape shape;
    for (char c : result) shape.push_back(extent[c]);
    Numbers y{shape, std::vector<Real>(static_cast<std::size_t>(shape.size()), 0)};
    Place loops;
    for (auto& [letter, n] : extent) loops.push_back(n);

    std::vector<Place> strides;                          // of each term, for each loop: a letter that stands twice steps along both axes
    auto add_strides = [&](const std::string& term, const Shape& of) {
      Place& stride = strides.emplace_back();
      for (auto& [letter, unused] : extent) {
        Index sum = 0, step = 1;
        for (std::size_t j = term.size(); j-- > 0;) {
          const Index n = of[static_cast<int>(j)];
          if (term[j] == letter && n != 1) sum += step;
          step *= n;
        }
        stride.push_back(sum);
      }
    };
    for (std::size_t i = 0; i < in.size(); ++i) add_strides(terms[i], in[i].shape);
    add_strides(result, shape);
    visit(loops, [&](const Place& p) {
      auto at = [&](std::size_t term) {
        Index sum = 0;
        for (std::size_t i = 0; i < p.size(); ++i) sum += p[i] * strides[term][i];
        return static_cast<std::size_t>(sum);
      };
      Real product = 1;
      for (std::size_t i = 0; i < in.size(); ++i) product *= in[i].at[at(i)];
      y.at[at(in.size())] += product;
    });
    return y;
  };
}

}  // namespace reference
