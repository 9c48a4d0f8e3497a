// What a result was computed from, to read or to draw.
#pragma once
#include <algorithm>
#include <map>
#include "tricycle/tensor/tensor.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace detail {

/// A graph in the order in which it was computed: every tensor once, behind those that it was made of.
struct Graph {
  struct Entry {
    const AnyNode* node;
    std::vector<Held> held;
  };
  std::vector<Entry> entries;
  std::map<const AnyNode*, std::size_t> number;

  explicit Graph(const AnyNode* root) {
    struct Visit { const AnyNode* node; std::size_t next_arg; };
    std::vector<Visit> path{{root, 0}};
    while (!path.empty()) {
      auto& [node, next] = path.back();
      if (next == node->args.size()) {
        number[node] = entries.size();
        entries.push_back({node, node->held()});
        path.pop_back();
      } else if (const AnyNode* arg = node->args[next++].get(); arg && number.emplace(arg, 0).second) {         // which gets its number behind its args
        path.push_back({arg, 0});
      }
    }
  }

  /// How many bytes of memory these are, those that are there twice counted once.
  static std::size_t bytes(std::vector<Held> held) {
    std::sort(held.begin(), held.end(), [](const Held& a, const Held& b) { return std::less<>()(a.at, b.at); });
    std::size_t total = 0;
    std::uintptr_t seen_to = 0;
    for (const auto& [at, size] : held) {
      const auto from = (std::max)(reinterpret_cast<std::uintptr_t>(at), seen_to), to = reinterpret_cast<std::uintptr_t>(at) + size;
      if (to > from) total += to - from, seen_to = to;
    }
    return total;
  }
  std::size_t bytes() const {
    std::vector<Held> all;
    for (const Entry& entry : entries) all.insert(all.end(), entry.held.begin(), entry.held.end());
    return bytes(std::move(all));
  }
};

template <Floating T>
Graph graph_of(const char* op, const Tensor<T>& result) {
  check(result.node() != nullptr, op, ": nothing was recorded for this tensor of shape ", result.shape());
  return Graph(result.node().get());
}

}  // namespace detail

/// The graph of a result, a line for each tensor that has a gradient: its number, the op that made it (or that it is a leaf), shape
/// and type, the numbers of those that it was made of, and how many bytes backward() will need for it. The last line counts them
/// all, those that several ops need once. Numbers of leaves count too, where an op needs them. Throws for a constant.
template <Floating T>
std::string explain(const Tensor<T>& result) {
  const auto graph = detail::graph_of("explain", result);
  return written([&](std::ostream& out) {
    std::size_t leaves = 0, results = 0;
    for (std::size_t i = 0; i < graph.entries.size(); ++i) {
      const auto& [node, held] = graph.entries[i];
      out << i << "  ";
      if (node->several) out << node->name << " with several results";
      else ++(node->is_leaf() ? leaves : results), out << *node;
      for (auto& arg : node->args) {
        out << (&arg == node->args.data() ? " of " : ", ");
        if (arg) out << graph.number.at(arg.get());
        else out << "a constant";
      }
      if (!held.empty()) out << ", keeps " << detail::Graph::bytes(held) << " bytes";
      out << (node->freed ? ", freed by backward()\n" : "\n");
    }
    out << "leaves: " << leaves << ", results of ops: " << results << ", bytes kept: " << graph.bytes() << '\n';
  });
}

/// The same for Graphviz: dot -Tsvg makes a picture of it.
template <Floating T>
std::string to_graphviz(const Tensor<T>& result) {
  const auto graph = detail::graph_of("to_graphviz", result);
  auto quoted = [](std::string_view text) {
    std::string safe;
    for (char c : text) (safe += c == '"' || c == '\\' ? "\\" : "") += c;
    return safe;
  };
  return written([&](std::ostream& out) {
    out << "digraph {\n";
    for (std::size_t i = 0; i < graph.entries.size(); ++i) {
      const auto& [node, held] = graph.entries[i];
      out << "  " << i << " [label=\"" << quoted(node->name) << (node->name.empty() || node->several ? "" : "\\n");
      if (!node->several) out << node->shape << ' ' << node->dtype();
      if (!held.empty()) out << "\\n" << detail::Graph::bytes(held) << " bytes";
      out << (node->is_leaf() ? "\", shape=box];\n" : "\"];\n");
      for (auto& arg : node->args)
        if (arg) out << "  " << graph.number.at(arg.get()) << " -> " << i << ";\n";
    }
    out << "}\n";
  });
}

}
}  // namespace tricycle
