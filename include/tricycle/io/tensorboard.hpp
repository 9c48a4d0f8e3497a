// Event files, which TensorBoard draws: numbers and texts by step.
//
// A file is a chain of TFRecords: the length of the data (8 bytes, little-endian), the length's checksum (4), the data, its
// checksum (4). The data is a protocol buffer, tensorflow.Event (tensorflow/core/util/event.proto). Its fields come as a key,
// number << 3 | kind, and a value: a varint (kind 0), 8 bytes (1), a length and so many bytes (2), or 4 bytes (5).
#pragma once
#include <array>
#include <bit>
#include <chrono>
#include "tricycle/io/file.hpp"
#include "tricycle/io/utf8.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace tensorboard {

static_assert(std::endian::native == std::endian::little, "numbers are written as they lie in memory");

/// The CRC of RFC 3720 (Castagnoli's polynomial, 0x1EDC6F41, least bit first), which iSCSI uses and TFRecords, too.
constexpr std::uint32_t crc32c(std::string_view bytes) {
  constexpr auto table = [] {
    std::array<std::uint32_t, 256> of_byte{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      of_byte[i] = i;
      for (int bit = 0; bit < 8; ++bit) of_byte[i] = of_byte[i] >> 1 ^ (of_byte[i] & 1 ? 0x82f63b78u : 0);
    }
    return of_byte;
  }();
  std::uint32_t crc = ~0u;
  for (char c : bytes) crc = crc >> 8 ^ table[(crc ^ static_cast<unsigned char>(c)) & 0xff];
  return ~crc;
}

template <class T>
std::string as_bytes(T x) { return {reinterpret_cast<const char*>(&x), sizeof x}; }

/// Data as a TFRecord. Checksums are stirred, for the CRC of what ends in its own CRC says nothing.
inline std::string record(std::string_view data) {
  auto checksum = [](std::string_view bytes) { return as_bytes(std::rotr(crc32c(bytes), 15) + 0xa282ead8u); };
  std::string length = as_bytes(std::uint64_t{data.size()});
  return (length + checksum(length)).append(data) + checksum(data);
}

/// Seven bits a byte, the lowest first; the highest bit of a byte says that more come.
inline std::string varint(std::uint64_t n) {
  std::string bytes;
  for (; n >= 0x80; n >>= 7) bytes += static_cast<char>(static_cast<unsigned char>(n | 0x80));
  return bytes + static_cast<char>(n);
}

// A field of a message. (One of value 0 is that field's default, and others leave it out; it reads the same.)
inline std::string field(unsigned number, Index n) { return varint(number << 3) + varint(static_cast<std::uint64_t>(n)); }
inline std::string field(unsigned number, double x) { return varint(number << 3 | 1) + as_bytes(x); }
inline std::string field(unsigned number, float x) { return varint(number << 3 | 5) + as_bytes(x); }
inline std::string field(unsigned number, std::string_view bytes) { return (varint(number << 3 | 2) + varint(bytes.size())).append(bytes); }

/// Error: a string that is not UTF-8, which a reader would refuse.
inline std::string string_field(unsigned number, std::string_view text) {
  const std::size_t valid = utf8::first_invalid(text);
  check(valid == text.size(), "tensorboard: a string is not UTF-8 at its byte ", valid);
  return field(number, text);
}

/// An Event: wall_time = 1 (seconds since 1970), step = 2, and what else it has.
inline std::string event(double time, Index step, const std::string& what) { return field(1, time) + field(2, step) + what; }

/// Event.summary = 5, its one value = 1: tag = 1, and the number or text that has it.
inline std::string summary(std::string_view tag, const std::string& value) { return field(5, field(1, string_field(1, tag) + value)); }

/// Value.simple_value = 2.
inline std::string scalar(std::string_view tag, double x) { return summary(tag, field(2, static_cast<float>(x))); }

/// Value.metadata = 9 (plugin_data = 1 (plugin_name = 1), data_class = 4: a tensor, 2), and tensor = 8 (dtype = 1: strings, 7;
/// tensor_shape = 2 (dim = 2 (size = 1)); string_val = 8).
inline std::string text(std::string_view tag, std::string_view markdown) {
  std::string tensor = field(1, Index{7}) + field(2, field(2, field(1, Index{1}))) + string_field(8, markdown);
  return summary(tag, field(8, tensor) + field(9, field(1, field(1, "text")) + field(4, Index{2})));
}

inline double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

}  // namespace tensorboard

/// What TensorBoard shows of one run: `tensorboard --logdir FOLDER` reads along as it is written.
///
///     EventLog log("run/events");
///     log.scalar("loss/training", 2.01, step);
class EventLog {
 public:
  /// A new file in `folder`, both made with the first event. What earlier files there say of step `from` and later steps was
  /// of a run that is gone on with from before them, and TensorBoard forgets it; nothing where `from` is 0.
  explicit EventLog(std::string folder, Index from = 0) : folder_(std::move(folder)), from_(from) {}

  /// A point of the curve `tag`, kept as a float. A / in a tag groups. Error: a tag that is not UTF-8, or no room on the disk.
  void scalar(std::string_view tag, double x, Index step) { write(step, tensorboard::scalar(tag, x)); }

  /// A text, which is shown as Markdown. Error: the same, and a text that is not UTF-8.
  void text(std::string_view tag, std::string_view markdown, Index step) { write(step, tensorboard::text(tag, markdown)); }

 private:
  void write(Index step, const std::string& what) {
    if (path_.empty()) begin();
    append_bytes(path_, tensorboard::record(tensorboard::event(tensorboard::now(), step, what)));
  }

  /// TensorBoard reads a folder's files in the order of their names, and takes only those with "tfevents" in it.
  void begin() {
    make_folders(folder_);
    std::string name = folder_ + "/events.out.tfevents." + std::to_string(static_cast<Index>(tensorboard::now())), path = name;
    for (int n = 1; file_exists(path); ++n) path = name + '.' + std::to_string(n);
    // file_version = 3; session_log = 7, whose status = 1: it starts, 1.
    std::string head = tensorboard::record(tensorboard::field(1, tensorboard::now()) + tensorboard::field(3, "brain.Event:2"));
    if (from_ > 0) head += tensorboard::record(tensorboard::event(tensorboard::now(), from_, tensorboard::field(7, tensorboard::field(1, Index{1}))));
    append_bytes(path, head);
    path_ = path;
  }

  std::string folder_, path_;                            // no path: nothing is written yet
  Index from_;
};

}
}  // namespace tricycle
