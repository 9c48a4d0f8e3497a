// Einsum: every product of tensors is a string, and so is its gradient.
#pragma once
#include "tricycle/op/contract.hpp"
#include "tricycle/op/contraction_order.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace detail {

/// What a subscript means for operands of some shapes. Axes of extent 1 lose their label: that is how they stretch.
struct Meaning {
  std::vector<Labels> in;
  Labels out;
  Extents extents;
  Shape shape;                                           // of the result, with its axes of extent 1

  Meaning(const Subscript& subscript, std::span<const Shape* const> shapes) {
    extents.fill(1);
    std::array<const Shape*, n_labels> found_in{};       // where a label was first more than 1
    const Shape* most_dotted = nullptr;
    int dots = 0;                                        // how many axes '...' stands for
    std::string_view terms = subscript.terms();
    auto next_term = [&] {
      std::string_view term = terms.substr(0, terms.find(','));
      terms.remove_prefix((std::min)(term.size() + 1, terms.size()));
      return term;
    };
    in.reserve(shapes.size());
    for (const Shape* of : shapes) {
      const Shape& own = *of;
      const std::string_view term = next_term();
      const bool dotted = term.find('.') != term.npos;
      const int letters = static_cast<int>(term.size()) - dotted;
      check(dotted ? own.rank() >= letters : own.rank() == letters, subscript, ": operand ", in.size() + 1, " has ", letters, dotted ? " or more" : "",
            " indices, but its shape is ", own);
      if (dotted && own.rank() - letters > dots) dots = own.rank() - letters, most_dotted = of;
      const Labels written = expanded(term, own.rank() - letters);
      Labels& labels = in.emplace_back();
      for (int axis = 0; axis < written.count; ++axis) {
        const char label = written[axis];
        const auto l = static_cast<std::size_t>(number_of(label));
        const Index n = own[axis];
        for (int before = 0; before < axis; ++before)
          check(written[before] != label || own[before] == n, subscript, ": index ", label, " is ", own[before], " and ", n, " in ", own);
        if (n == 1) continue;
        check(extents[l] == 1 || extents[l] == n, subscript, ": index ", name_of(label), " is ", extents[l], " in ", found_in[l] ? *found_in[l] : own, " but ", n, " in ", own);
        extents[l] = n;
        if (!found_in[l]) found_in[l] = of;
        labels.push_back(label);
      }
    }
    const std::string_view term = next_term();
    check(dots == 0 || term.find('.') != term.npos, subscript, ": '...' is missing from the result, but stands for axes of ", most_dotted ? *most_dotted : shape);
    check(static_cast<int>(term.size()) - (term.find('.') != term.npos) + dots <= Shape::max_rank, subscript, ": the result has more than ", Shape::max_rank, " axes");
    for (char label : expanded(term, dots)) {
      const Index n = extents[static_cast<std::size_t>(number_of(label))];
      shape.push_back(n);
      if (n != 1) out.push_back(label);
    }
  }

  static std::string_view name_of(const char& label) { return label <= '9' ? std::string_view("...") : std::string_view(&label, 1); }
};

/// "ij,jk->ik", for the name of a step.
inline std::string step_name(const Labels& a, const Labels& b, const Labels& out) {
  std::string name = "einsum ";
  for (const Labels* labels : {&a, &b, &out}) {
    if (labels != &a) name += labels == &b ? "," : "->";
    for (int i = 0; i < labels->count; ++i)
      if ((*labels)[i] > '9' || i == 0 || (*labels)[i - 1] > '9') name += Meaning::name_of((*labels)[i]);
  }
  return name;
}

/// The gradient of an operand is an einsum, too: the operand and the result change places. `send` writes it, given where to
/// and whether to add. Where a letter stands twice in the operand, that is its diagonal, and the rest is 0.
template <class T, class Send>
void send_back(Sink<T> sink, const Labels& own, const Extents& extents, Send send) {
  auto to = sink.gather();
  if (own.repeats() && !to.add) {
    kernel::each(sink.device(), sink.shape().size(), Fill<T>{T(0.f), to.at});
    to.add = true;
  }
  send(View<T>(to.at, own, extents), to.add);
}

/// The same numbers in another order, summed over the labels that the result lacks.
template <Floating T>
Tensor<T> rearranged(const std::string& name, const Tensor<T>& x, const Labels& in, const Labels& out, const Extents& extents, const Shape& shape) {
  const auto sums = summed(x, in, out.set(), extents);
  Tensor<T> y = sums.labels == out ? sums.numbers.view(shape) : Tensor<T>(shape, x.device());
  if (sums.labels != out) move(x.device(), extents, View<T>(y.mutable_data(), out, extents), false, sums.view(extents));
  return record(name, y, {{x, [in, out, extents](const Tensor<T>& grad, Sink<T> dx) {
    const View<const T> g(grad.data(), out, extents);
    send_back(dx, in, extents, [&](const View<T>& to, bool add) { move(grad.device(), extents, to, add, g); });
  }}});
}

/// The product of two tensors, summed over the labels that the result lacks.
template <Floating T>
Tensor<T> contracted(const std::string& name, const Tensor<T>& a, const Labels& in_a, const Tensor<T>& b, const Labels& in_b, const Labels& out, const Extents& extents,
                     const Shape& shape) {
  const auto x = summed(a, in_a, in_b.set() | out.set(), extents), y = summed(b, in_b, in_a.set() | out.set(), extents);
  Tensor<T> c(shape, a.device());
  contract(a.device(), extents, x.view(extents), y.view(extents), View<T>(c.mutable_data(), out, extents), false);
  auto back = [&](const Labels& own, const Labelled<T>& other) {
    return [out, own, extents, labels = other.labels, other = Saved<T>(other.numbers)](const Tensor<T>& grad, Sink<T> sink) {
      const View<const T> g(grad.data(), out, extents), by(other.data(), labels, extents);
      send_back(sink, own, extents, [&](const View<T>& to, bool add) { contract(grad.device(), extents, g, by, to, add); });
    };
  };
  return record(name, c, {{a, back(in_a, y)}, {b, back(in_b, x)}});
}

}  // namespace detail

/// A sum of products of tensors, described by NumPy's subscripts: Einsum("ij,jk->ik")(a, b) is the matrix product. Any number of
/// operands; a letter twice in one is its diagonal; '...' stands for any axes; extents of 1 stretch; without '->' the result has
/// the letters that appear once, by alphabet. More than two operands are contracted two at a time, in the order that costs least.
/// A string that makes no sense throws, or does not compile in einsum<"...">; shapes that do not fit throw.
class Einsum {
 public:
  constexpr explicit Einsum(std::string_view subscript) : subscript_(subscript) {}

  template <Floating T, class... More>
  Tensor<T> operator()(const Tensor<T>& first, const More&... more) const {
    static_assert((std::same_as<Tensor<T>, More> && ...), "einsum: the operands differ in their element type: cast<T>(x) some of them");
    const Tensor<T>* all[] = {&first, &more..., nullptr};          // (one place more: g++ warns of a second operand that is not there)
    return run<T>({all, 1 + sizeof...(More)});
  }
  template <Floating T>
  Tensor<T> operator()(const std::vector<Tensor<T>>& operands) const {
    std::vector<const Tensor<T>*> all;
    for (const Tensor<T>& x : operands) all.push_back(&x);
    return run<T>(all);
  }

  constexpr std::string_view subscript() const { return subscript_.view(); }
  std::string name() const { return "einsum " + std::string(subscript()); }

 private:
  template <Floating T>
  Tensor<T> run(std::span<const Tensor<T>* const> operands) const {
    using namespace detail;
    const std::size_t n = operands.size();
    check(n == static_cast<std::size_t>(subscript_.operands()), subscript_, ": ", n, n == 1 ? " tensor" : " tensors", " for a subscript of ", subscript_.operands(),
          subscript_.operands() == 1 ? " operand" : " operands");
    std::array<const Shape*, Subscript::max_operands> shapes;
    for (std::size_t i = 0; i < n; ++i) {
      shapes[i] = &operands[i]->shape();
      check(operands[i]->device() == operands[0]->device(), subscript_, ": operand 1 is on ", operands[0]->device(), ", but operand ", i + 1, " on ", operands[i]->device());
    }
    const Meaning is(subscript_, {shapes.data(), n});
    if (n == 1) return rearranged(name(), *operands[0], is.in[0], is.out, is.extents, is.shape);
    if (n == 2) return contracted(name(), *operands[0], is.in[0], *operands[1], is.in[1], is.out, is.extents, is.shape);
    return in_steps<T>(operands, is);
  }

  /// Each step is an einsum of two operands, with a gradient of its own. What a step makes has the labels that are still needed.
  template <Floating T>
  Tensor<T> in_steps(std::span<const Tensor<T>* const> operands, const detail::Meaning& is) const {
    using namespace detail;
    struct Item { Tensor<T> numbers; Labels labels; bool used; };
    std::vector<Item> items;
    std::vector<LabelSet> sets;
    items.reserve(2 * operands.size());
    for (std::size_t i = 0; i < operands.size(); ++i) {
      items.push_back({*operands[i], is.in[i], false});
      sets.push_back(is.in[i].set());
    }
    const auto steps = contraction_order(sets, is.out.set(), is.extents);
    for (const Step& step : steps) {
      Item &a = items[static_cast<std::size_t>(step.a)], &b = items[static_cast<std::size_t>(step.b)];
      a.used = b.used = true;
      if (&step == &steps.back()) return contracted(name(), a.numbers, a.labels, b.numbers, b.labels, is.out, is.extents, is.shape);
      LabelSet needed = is.out.set();
      for (const Item& item : items)
        if (!item.used) needed |= item.labels.set();
      const LabelSet in_a = a.labels.set(), in_b = b.labels.set();
      const Labels made = joined(a.labels.of(needed & in_b), a.labels.of(needed & ~in_b), b.labels.of(needed & ~in_a));
      Shape shape;                                       // flat, if there are more labels than a shape has axes
      if (made.count > Shape::max_rank) shape.push_back(size_of(made.set(), is.extents));
      else for (char label : made) shape.push_back(is.extents[static_cast<std::size_t>(number_of(label))]);
      Tensor<T> product = contracted(step_name(a.labels, b.labels, made), a.numbers, a.labels, b.numbers, b.labels, made, is.extents, shape);
      items.push_back({std::move(product), made, false});
    }
    return *operands[0];                                 // not reached: there are steps
  }

  detail::Subscript subscript_;
};

/// einsum<"ij,jk->ik">(a, b): the same Einsum, read (or refused) by the compiler.
template <FixedString subscript>
inline constexpr Einsum einsum{subscript};

template <Element T>
Tensor<T> Tensor<T>::repeat(Index n) const requires Floating<T> {
  check(n >= 0, "repeat: ", n, " times");
  return tricycle::einsum<"...,n->...n">(*this, detail::filled(Shape{n}, T(1.f), device()));
}

template <Element T>
template <FixedString subscript, class... Others>
Tensor<T> Tensor<T>::einsum(const Others&... others) const {
  return tricycle::einsum<subscript>(*this, others...);
}

}
}  // namespace tricycle
