// The safetensors format: named arrays of numbers in one file, strictly read and written whole or not at all.
//
// 8 bytes: the header's length, little-endian. The header: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets":
// [begin, end]}, …, "__metadata__": {"key": "text"}}, JSON that may end in spaces. Then the data, which the offsets count
// from and cover without hole or overlap; row-major, little-endian. (huggingface.co/docs/safetensors)
#pragma once
#include <bit>
#include <memory>
#include <span>
#include "tricycle/core/shape.hpp"
#include "tricycle/io/file.hpp"
#include "tricycle/io/json.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

static_assert(std::endian::native == std::endian::little, "safetensors are read and written as they lie in memory");

/// One array of a file; `bytes` belong to the file or to whoever saves it (or to `owner`, if there is one), and need not be
/// aligned for their type.
struct SafeTensor {
  std::string name, dtype;
  Shape shape;
  std::string_view bytes;
  std::shared_ptr<const void> owner{};
};

/// The bytes of one number of a dtype as the format names it, or 0 for one that is not known here.
constexpr Index safetensors_width(std::string_view dtype) {
  if (dtype == "F64" || dtype == "I64" || dtype == "U64") return 8;
  if (dtype == "F32" || dtype == "I32" || dtype == "U32") return 4;
  if (dtype == "BF16" || dtype == "F16" || dtype == "I16" || dtype == "U16") return 2;
  if (dtype == "BOOL" || dtype == "I8" || dtype == "U8" || dtype == "F8_E4M3" || dtype == "F8_E5M2") return 1;
  return 0;
}

/// The format's name of an element type.
template <Element T>
constexpr const char* safetensors_dtype() {
  if constexpr (std::same_as<T, double>) return "F64";
  else if constexpr (std::same_as<T, float>) return "F32";
  else if constexpr (std::same_as<T, bf16>) return "BF16";
  else if constexpr (std::same_as<T, half>) return "F16";
  else if constexpr (std::same_as<T, bool>) return "BOOL";
  else if constexpr (sizeof(T) == 1) return std::is_signed_v<T> ? "I8" : "U8";
  else if constexpr (sizeof(T) == 2) return std::is_signed_v<T> ? "I16" : "U16";
  else if constexpr (sizeof(T) == 4) return std::is_signed_v<T> ? "I32" : "U32";
  else return std::is_signed_v<T> ? "I64" : "U64";
}

namespace safetensors {

inline constexpr std::size_t max_header = 100'000'000;   // the format's own limit
inline constexpr std::size_t length_bytes = 8;
inline constexpr const char* metadata_key = "__metadata__";

/// How many bytes a tensor of this dtype and shape has. Error: no such dtype, or more than 64 bits can count.
inline Index byte_count(const std::string& dtype, const Shape& shape) {
  Index width = safetensors_width(dtype), size = shape.size();
  check(width > 0, "dtype \"", dtype, "\" is unknown");
  check(size <= (std::numeric_limits<Index>::max)() / width, dtype, " ", shape, " has more bytes than 64 bits can count");
  return size * width;
}

/// work(), whose errors are told to be about `part` of the file.
template <class Work>
auto within(const std::string& file, const std::string& part, Work work) {
  return about("safetensors: " + file + ": " + part, work);
}

inline std::string quoted(const std::string& name) { return "tensor \"" + name + "\""; }

inline void check_metadata(const Json& metadata) {
  for (const auto& [key, text] : metadata.as<Json::Object>()) static_cast<void>(text.as<std::string>("key \"" + key + "\": "));
}

}  // namespace safetensors

/// A file in memory: its tensors in the order in which their bytes lie, and its metadata. Whatever is wrong with it is
/// refused at once, naming the byte or the tensor: "safetensors: model.safetensors: tensor "w": …".
class SafeTensorsFile {
 public:
  explicit SafeTensorsFile(const std::string& path) : SafeTensorsFile(read_file(path), path) {}

  /// From bytes that were read already; `name` is what errors call them.
  SafeTensorsFile(std::string bytes, std::string name)
      : name_(std::move(name)), bytes_(std::make_shared<const std::string>(std::move(bytes))) {
    std::size_t data_at = safetensors::length_bytes + header_length();
    read_header(data_at);
    check_cover(data_at);
  }

  const std::string& name() const { return name_; }
  const std::vector<SafeTensor>& all() const { return tensors_; }
  const Json::Object& metadata() const { return metadata_.as<Json::Object>(); }     // its values are strings

  /// The tensor of that name: null when there is none, or an Error.
  const SafeTensor* find(std::string_view name) const {
    for (const SafeTensor& tensor : tensors_)
      if (tensor.name == name) return &tensor;
    return nullptr;
  }
  const SafeTensor& operator[](std::string_view name) const {
    if (const SafeTensor* tensor = find(name)) return *tensor;
    refuse("no tensor \"", name, "\"");
  }

 private:
  template <class... Says>
  [[noreturn]] void refuse(const Says&... says) const { fail("safetensors: ", name_, ": ", says...); }

  std::size_t header_length() const {
    using safetensors::length_bytes, safetensors::max_header;
    std::uint64_t length = 0;
    if (bytes_->size() < length_bytes) refuse("it has ", bytes_->size(), " bytes, too few for the header's length");
    std::memcpy(&length, bytes_->data(), length_bytes);
    if (length > max_header) refuse("header length ", length, " at byte 0 exceeds the format's ", max_header, " bytes");
    if (length > bytes_->size() - length_bytes) refuse("header length ", length, " at byte 0 exceeds the file's ", bytes_->size(), " bytes");
    if (length == 0 || (*bytes_)[length_bytes] != '{') refuse("no { at byte ", length_bytes, ", where the header begins");
    return static_cast<std::size_t>(length);
  }

  void read_header(std::size_t data_at) {
    std::string_view header(bytes_->data() + safetensors::length_bytes, data_at - safetensors::length_bytes);
    std::string_view data = std::string_view(*bytes_).substr(data_at);
    Json parts = safetensors::within(name_, "header, from byte 8", [&] { return Json::parse(header); });
    for (const Json::Member& part : parts.as<Json::Object>()) {
      const std::string& name = part.first;
      if (name == safetensors::metadata_key) {
        safetensors::within(name_, name, [&] { safetensors::check_metadata(part.second); });
        metadata_ = part.second;
      } else {
        tensors_.push_back(safetensors::within(name_, safetensors::quoted(name), [&] { return tensor(name, part.second, data); }));
      }
    }
  }

  static SafeTensor tensor(const std::string& name, const Json& about, std::string_view data) {
    about.allow_only({"dtype", "shape", "data_offsets"});
    Shape shape;
    for (const Json& extent : about.get<Json::Array>("shape")) shape.push_back(extent.as<Index>("key \"shape\": "));
    const auto& dtype = about.get<std::string>("dtype");
    const auto& offsets = about.get<Json::Array>("data_offsets");
    check(offsets.size() == 2, "data_offsets has ", offsets.size(), " numbers, not 2");
    auto begin = offsets[0].as<Index>("key \"data_offsets\": "), end = offsets[1].as<Index>("key \"data_offsets\": ");
    check(0 <= begin && begin <= end, "data_offsets [", begin, ", ", end, "] are not in order");
    check(std::cmp_less_equal(end, data.size()), "data_offsets [", begin, ", ", end, "] exceed the file's ", data.size(), " bytes of data");
    Index bytes = safetensors::byte_count(dtype, shape);
    check(end - begin == bytes, dtype, " ", shape, " has ", bytes, " bytes, but data_offsets [", begin, ", ", end, "] hold ", end - begin);
    return {name, dtype, shape, data.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(bytes))};
  }

  /// Sorts the tensors by where they lie: each must begin where the one before it ends, and the last end with the file.
  void check_cover(std::size_t data_at) {
    const char* data = bytes_->data();
    auto begin = [&](const SafeTensor& t) { return static_cast<std::size_t>(t.bytes.data() - data); };
    std::sort(tensors_.begin(), tensors_.end(), [&](const SafeTensor& a, const SafeTensor& b) {
      return std::pair(begin(a), a.bytes.size()) < std::pair(begin(b), b.bytes.size());
    });
    std::size_t covered = data_at;
    for (const SafeTensor& t : tensors_) {
      const char* wrong = begin(t) < covered ? "overlaps the one before it" : "leaves a hole before it";
      if (begin(t) != covered) refuse("tensor \"", t.name, "\" begins at byte ", begin(t), ", not ", covered, ": it ", wrong);
      covered += t.bytes.size();
    }
    if (covered != bytes_->size()) refuse("the bytes from ", covered, " to ", bytes_->size(), " belong to no tensor");
  }

  std::string name_;
  std::shared_ptr<const std::string> bytes_;             // shared by copies, so that their views stay right
  std::vector<SafeTensor> tensors_;
  Json metadata_ = Json::object();
};

/// Replaces the file at `path` by one with these tensors, or leaves it as it was and throws. Their bytes are written from
/// where they are. Wider types come first, else in the order given, so that each tensor is aligned in the file.
/// Error: two of one name, an unknown dtype, bytes that do not fit the shape, a name or metadata that is not UTF-8.
inline void save_safetensors(const std::string& path, std::span<const SafeTensor> tensors, const Json::Object& metadata = {}) {
  std::vector<const SafeTensor*> in_order;
  for (Index width : {8, 4, 2, 1, 0})                    // 0: an unknown dtype, which is refused below
    for (const SafeTensor& tensor : tensors)
      if (safetensors_width(tensor.dtype) == width) in_order.push_back(&tensor);

  Json::Object members;
  if (!metadata.empty()) members.emplace_back(safetensors::metadata_key, Json::object(metadata));
  safetensors::within(path, safetensors::metadata_key, [&] { safetensors::check_metadata(Json::object(metadata)); });
  Index offset = 0;
  for (const SafeTensor* tensor : in_order) {
    Index end = offset + safetensors::within(path, safetensors::quoted(tensor->name), [&] {
      check(tensor->name != safetensors::metadata_key, "the format keeps this name for the metadata");
      Index bytes = safetensors::byte_count(tensor->dtype, tensor->shape);
      check(std::cmp_equal(bytes, tensor->bytes.size()), tensor->dtype, " ", tensor->shape, " has ", bytes, " bytes, not ", tensor->bytes.size());
      return bytes;
    });
    Json::Array shape(tensor->shape.begin(), tensor->shape.end());
    Json::Array offsets{offset, end};
    members.emplace_back(tensor->name, Json::object({{"dtype", tensor->dtype}, {"shape", shape}, {"data_offsets", offsets}}));
    offset = end;
  }
  std::string text = safetensors::within(path, "header", [&] { return Json::object(std::move(members)).dump(); });
  text.resize((text.size() + 7) / 8 * 8, ' ');           // the data begins at a multiple of 8
  check(text.size() <= safetensors::max_header, "safetensors: ", path, ": a header of ", text.size(), " bytes exceeds the format's ", safetensors::max_header);

  FileWriter writer(path);
  std::uint64_t length = text.size();
  writer.write({reinterpret_cast<const char*>(&length), sizeof length});
  writer.write(text);
  for (const SafeTensor* tensor : in_order) writer.write(tensor->bytes);
  writer.commit();
}

}
}  // namespace tricycle
