// Files, whole or not at all: what is written appears under its name only once every byte of it is on the disk.
#pragma once
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include "tricycle/core/error.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace file {

/// An open file, closed when it goes out of scope.
class Descriptor {
 public:
  Descriptor() = default;
  Descriptor(const std::string& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Descriptor& operator=(Descriptor&& other) noexcept {
    int mine = fd_;
    fd_ = other.fd_, other.fd_ = mine;
    return *this;
  }
  ~Descriptor() {
    if (is_open()) ::close(fd_);
  }

  bool is_open() const { return fd_ >= 0; }
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

/// "file: cannot write model.json: No space left on device", from errno.
[[noreturn]] inline void fail_to(const char* action, const std::string& path) {
  fail("file: cannot ", action, " ", path, ": ", std::strerror(errno));
}

/// Everything or false, and then errno says why. A signal is no reason to stop.
inline bool write_all(const Descriptor& to, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::write(to.get(), bytes.data(), bytes.size());
    if (n < 0 && errno != EINTR) return false;
    if (n > 0) bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

inline bool sync(const Descriptor& file) {
  int status;
  do status = ::fsync(file.get()); while (status != 0 && errno == EINTR);
  return status == 0;
}

}  // namespace file

inline bool file_exists(const std::string& path) {
  struct stat about;
  return ::stat(path.c_str(), &about) == 0;
}

inline bool is_folder(const std::string& path) {
  struct stat about;
  return ::stat(path.c_str(), &about) == 0 && S_ISDIR(about.st_mode);
}

/// Makes a folder and those above it, where they are missing. Error: what stands in the way.
inline void make_folders(const std::string& path) {
  for (std::size_t end = 0; end != std::string::npos;) {
    end = path.find('/', end + 1);
    std::string part = path.substr(0, end);
    if (::mkdir(part.c_str(), 0777) == 0) continue;
    int why = errno;                                     // a part that is there already may fail with other than EEXIST
    if (is_folder(part)) continue;
    errno = why;
    file::fail_to("make the folder", part);
  }
}

/// All bytes of a file. Error: it is not there, is no file, or does not fit into memory.
inline std::string read_file(const std::string& path) {
  file::Descriptor file(path, O_RDONLY);
  struct stat about;
  if (!file.is_open() || ::fstat(file.get(), &about) != 0) file::fail_to("read", path);
  std::string bytes;
  auto make_room = [&](std::size_t size) {
    try {
      bytes.resize(size);
    } catch (const std::exception&) {                    // bad_alloc, or length_error
      fail("file: cannot read ", path, ": its ", (std::max)(about.st_size, static_cast<off_t>(bytes.size())), " bytes do not fit into memory");
    }
  };
  // One byte more than it says, so that the end is met without growing; a pipe says 0 and grows.
  make_room(static_cast<std::size_t>(about.st_size) + 1);
  for (std::size_t have = 0;;) {
    ssize_t n = ::read(file.get(), bytes.data() + have, bytes.size() - have);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) file::fail_to("read", path);
    have += static_cast<std::size_t>(n);
    if (n == 0) return bytes.resize(have), bytes;
    if (have == bytes.size()) make_room(2 * have + 4096);
  }
}

/// Writes a file piece by piece under a temporary name beside it; commit() puts it in the place of the old one. Without
/// commit(), or when anything fails, the temporary goes and the old file stays. Keeps the old file's permissions.
class FileWriter {
 public:
  explicit FileWriter(std::string path) : path_(std::move(path)) {
    struct stat old;
    bool replaces = ::stat(path_.c_str(), &old) == 0;
    check(!replaces || S_ISREG(old.st_mode), "file: cannot write ", path_, ": it is not a regular file");
    for (int n = 0; !file_.is_open(); ++n) {             // O_EXCL: two writers never share a temporary
      temporary_ = path_ + ".tmp" + std::to_string(n);
      file_ = file::Descriptor(temporary_, O_WRONLY | O_CREAT | O_EXCL);
      if (!file_.is_open() && errno != EEXIST) file::fail_to("write", path_);
    }
    if (replaces) static_cast<void>(::fchmod(file_.get(), old.st_mode & 07777));
  }
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;
  ~FileWriter() { discard(); }

  /// When this throws, the file is given up; likewise commit().
  void write(std::string_view bytes) {
    check_open();
    if (!file::write_all(file_, bytes)) give_up();
  }

  /// Call once, last. The bytes are on the disk before the name points at them, and the name is before this returns.
  void commit() {
    check_open();
    std::size_t slash = path_.rfind('/');
    file::Descriptor folder(slash == std::string::npos ? "." : path_.substr(0, slash + 1), O_RDONLY | O_DIRECTORY);
    if (!folder.is_open() || !file::sync(file_) || ::rename(temporary_.c_str(), path_.c_str()) != 0) give_up();
    file_ = file::Descriptor();
    // Some file systems cannot sync a folder, and say so with EINVAL.
    if (!file::sync(folder) && errno != EINVAL) fail("file: ", path_, " is written, but its folder is not synced: ", std::strerror(errno));
  }

 private:
  void check_open() const { check(file_.is_open(), "file: cannot write ", path_, ": it is complete, or was given up when writing failed"); }
  [[noreturn]] void give_up() {
    const int why = errno;
    discard();
    errno = why;
    file::fail_to("write", path_);
  }
  void discard() {
    if (file_.is_open()) ::unlink(temporary_.c_str());
    file_ = file::Descriptor();
  }

  std::string path_, temporary_;
  file::Descriptor file_;
};

/// Replaces a file by these bytes, or leaves it as it was and throws.
inline void write_file(const std::string& path, std::string_view bytes) {
  FileWriter writer(path);
  writer.write(bytes);
  writer.commit();
}

/// Adds bytes to a log: all of them, or none and an Error. A log is not synced: a crash of the machine may lose its end.
inline void append_bytes(const std::string& path, std::string_view bytes) {
  file::Descriptor log(path, O_WRONLY | O_CREAT | O_APPEND);
  struct stat before;
  if (!log.is_open() || ::fstat(log.get(), &before) != 0) file::fail_to("write", path);
  if (file::write_all(log, bytes)) return;
  int why = errno;
  if (::ftruncate(log.get(), before.st_size) != 0) why = errno == EINVAL ? why : errno;   // a device cannot be cut
  errno = why;
  file::fail_to("write", path);
}
inline void append_line(const std::string& path, const std::string& line) { append_bytes(path, line + '\n'); }

/// f(line, where it begins) for each line of a text, which need not end with one.
template <class F>
void each_line(std::string_view text, F f) {
  for (std::size_t at = 0, end; at < text.size(); at = end + 1) {
    end = (std::min)(text.find('\n', at), text.size());
    f(text.substr(at, end - at), at);
  }
}

/// Keeps the lines of a log for which `keep(line)` holds; a last line that was never finished goes too. A resumed run
/// cuts what the stopped one wrote after its checkpoint. No file: nothing to do.
template <class Keep>
void keep_lines(const std::string& path, Keep keep) {
  if (!file_exists(path)) return;
  std::string text = read_file(path), kept;
  each_line(text, [&](std::string_view line, std::size_t at) {
    if (at + line.size() < text.size() && keep(line)) kept.append(line) += '\n';
  });
  if (kept != text) write_file(path, kept);
}

}
}  // namespace tricycle
