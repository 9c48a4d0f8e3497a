// Files of token ids, mapped rather than read: 16- or 32-bit numbers one after the other, as nanoGPT's train.bin and val.bin.
#pragma once
#include <algorithm>
#include <bit>
#include <concepts>
#include <memory>
#include <span>
#include <sys/mman.h>
#include <utility>
#include <vector>
#include "tricycle/io/file.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

static_assert(std::endian::native == std::endian::little, "token files are read and written as they lie in memory");

/// The format's numbers, which a file does not name: nanoGPT writes 16 bits.
template <class Id>
concept TokenId = std::same_as<Id, std::uint16_t> || std::same_as<Id, std::uint32_t>;

/// A file's ids, in memory only where they are looked at. Copies share the mapping. Whoever replaces the file, as TokenFileWriter
/// does, leaves the mapped ids as they are; to cut a mapped file short ends the program (SIGBUS).
///
///     TokenFile<std::uint16_t> file("train.bin", 50257);
///     CausalLMDataset data(Tokens(file.ids(), file.owner()), 1024);
template <TokenId Id>
class TokenFile {
 public:
  /// Reads the file through once, to check its ids. Error: it is empty, no whole number of ids, or holds one outside [0, vocab_size).
  TokenFile(const std::string& path, int vocab_size) {
    file::Descriptor file(path, O_RDONLY);
    struct stat about;
    if (!file.is_open() || ::fstat(file.get(), &about) != 0) file::fail_to("read", path);
    check(S_ISREG(about.st_mode), "token file: ", path, " is not a regular file");
    auto bytes = static_cast<std::size_t>(about.st_size);
    check(bytes > 0, "token file: ", path, " is empty");
    check(bytes % sizeof(Id) == 0, "token file: ", path, " has ", bytes, " bytes, which are no whole number of ", 8 * sizeof(Id), "-bit ids");
    void* begin = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (begin == MAP_FAILED) file::fail_to("map", path);
    owner_ = std::shared_ptr<const void>(begin, [bytes](void* mapped) { ::munmap(mapped, bytes); });
    ids_ = {static_cast<const Id*>(begin), bytes / sizeof(Id)};
    check_ids(path, vocab_size);
  }

  std::span<const Id> ids() const { return ids_; }
  /// What keeps ids() alive.
  std::shared_ptr<const void> owner() const { return owner_; }

 private:
  void check_ids(const std::string& path, int vocab_size) const {
    auto is_outside = [vocab_size](Id id) { return std::cmp_greater_equal(id, vocab_size); };
    auto wrong = std::find_if(ids_.begin(), ids_.end(), is_outside);
    if (wrong == ids_.end()) return;
    auto at = static_cast<std::size_t>(wrong - ids_.begin());
    fail("token file: ", path, ": id ", *wrong, " at byte ", at * sizeof(Id), " is not in [0, ", vocab_size, ")");
  }

  std::shared_ptr<const void> owner_;
  std::span<const Id> ids_;
};

/// Writes such a file piece by piece; it is there whole after commit(), or not at all.
template <TokenId Id>
class TokenFileWriter {
 public:
  explicit TokenFileWriter(const std::string& path) : path_(path), file_(path) {}

  /// Error: an id that Id cannot hold.
  void write(std::span<const int> ids) {
    std::vector<Id> narrow;
    narrow.reserve(ids.size());
    for (int id : ids) {
      check(std::in_range<Id>(id), "token file: ", path_, ": id ", id, " at position ", written_ + narrow.size(), " does not fit in ", 8 * sizeof(Id), " bits");
      narrow.push_back(static_cast<Id>(id));
    }
    file_.write({reinterpret_cast<const char*>(narrow.data()), narrow.size() * sizeof(Id)});
    written_ += narrow.size();
  }

  /// Call once, last. Error: nothing was written, which no TokenFile would read.
  void commit() {
    check(written_ > 0, "token file: there is nothing to write into ", path_);
    file_.commit();
  }

 private:
  std::string path_;
  FileWriter file_;
  std::size_t written_ = 0;
};

}
}  // namespace tricycle
