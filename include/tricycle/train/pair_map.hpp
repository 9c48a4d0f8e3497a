// A hash table from pairs of token ids to anything, with neighbours in one array: what byte pairs are looked up in.
#pragma once
#include <cstdint>
#include <utility>
#include <vector>
#include "tricycle/core/config.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// Ids are from 0 to 2^31 - 1. Nothing is ever taken out. A pointer or reference holds until the next pair is added.
template <class Value>
class PairMap {
 public:

  /// The value of a pair, or null.
  const Value* find(int left, int right) const {
    const Slot& slot = slots_[place(key_of(left, right))];
    return slot.key == none ? nullptr : &slot.value;
  }

  /// The value of a pair, which is added if it is not there.
  Value& operator()(int left, int right) {
    std::uint64_t key = key_of(left, right);
    std::size_t at = place(key);
    if (slots_[at].key == none) {
      if (2 * ++size_ > slots_.size()) grow(), at = place(key);
      slots_[at].key = key;
    }
    return slots_[at].value;
  }

  /// use(left, right, value) for each pair, in no order.
  template <class Use>
  void each(Use use) const {
    for (const Slot& slot : slots_)
      if (slot.key != none) use(static_cast<int>(slot.key >> 32), static_cast<int>(slot.key & 0xffffffff), slot.value);
  }

 private:
  static constexpr std::uint64_t none = ~std::uint64_t{0};
  struct Slot {
    std::uint64_t key = none;
    Value value{};
  };

  static std::uint64_t key_of(int left, int right) { return static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint32_t>(right); }

  std::size_t place(std::uint64_t key) const {
    std::uint64_t hash = (key ^ key >> 29) * 0xbf58476d1ce4e5b9u;
    std::size_t mask = slots_.size() - 1, at = (hash ^ hash >> 32) & mask;
    while (slots_[at].key != key && slots_[at].key != none) at = (at + 1) & mask;
    return at;
  }

  void grow() {
    std::vector<Slot> old(2 * slots_.size());
    old.swap(slots_);
    for (Slot& slot : old)
      if (slot.key != none) slots_[place(slot.key)] = std::move(slot);
  }

  std::vector<Slot> slots_ = std::vector<Slot>(16);      // a power of 2, at most half of it taken
  std::size_t size_ = 0;
};

}
}  // namespace tricycle
