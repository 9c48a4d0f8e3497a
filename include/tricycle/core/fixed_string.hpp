// A string that may be a template argument: einsum<"ij,jk->ik">.
#pragma once
#include <algorithm>
#include <string_view>
#include "tricycle/core/config.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

template <std::size_t n>
struct FixedString {
  char text[n]{};
  constexpr explicit(false) FixedString(const char (&from)[n]) { std::copy_n(from, n, text); }
  constexpr explicit(false) operator std::string_view() const { return {text, n - 1}; }
};

}
}  // namespace tricycle
