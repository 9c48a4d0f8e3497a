// Files that are whole or not there.
#include <csignal>
#include <limits>
#include <sys/mman.h>
#include <sys/resource.h>
#include "catch.hpp"
#include "refusal.hpp"
#include "tricycle/io/file.hpp"
#include "tricycle/io/json.hpp"

using tricycle::Json;
using tricycle::read_file;
using tricycle::write_file;

namespace {

/// Every file that this process writes ends at `bytes`, as a full disk would end it, until this goes out of scope.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) : signal_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &old_);
    rlimit low{bytes, old_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &low);
  }
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, signal_);
  }

 private:
  rlimit old_{};
  void (*signal_)(int);
};

}  // namespace

TEST_CASE("a file is read as it was written", "[file]") {
  ScratchFolder folder;
  std::string path = folder / "a", bytes("\0\r\n\xff", 4);
  for (const std::string& text : {std::string(), bytes, std::string(100'000, 'x')}) {
    write_file(path, text);
    REQUIRE(read_file(path) == text);
    REQUIRE(folder.n_files() == 1);
  }
  REQUIRE(read_file("/proc/self/stat").size() > 10);      // a file that says it has 0 bytes
}

TEST_CASE("what cannot be read is named with the reason", "[file]") {
  ScratchFolder folder;
  REQUIRE(refusal([&] { read_file(folder / "none"); }) == "file: cannot read " + folder / "none" + ": No such file or directory");
  REQUIRE(refusal([&] { read_file(folder.path()); }) == "file: cannot read " + folder.path() + ": Is a directory");
  const int huge = ::memfd_create("huge", 0);            // as large as a file can say it is
  REQUIRE(::ftruncate(huge, std::numeric_limits<off_t>::max()) == 0);
  const std::string path = "/proc/self/fd/" + std::to_string(huge);
  REQUIRE(refusal([&] { read_file(path); }) == "file: cannot read " + path + ": its 9223372036854775807 bytes do not fit into memory");
  ::close(huge);
}

TEST_CASE("a write that fails leaves the old file and no other", "[file]") {
  ScratchFolder folder;
  std::string path = folder / "model", half(6000, 'b');
  write_file(path, "old");

  SECTION("the disk is full") {
    FullDisk full(10'000);
    tricycle::FileWriter writer(path);
    writer.write(half);
    REQUIRE(folder.n_files() == 2);
    REQUIRE(refusal([&] { writer.write(half); }) == "file: cannot write " + path + ": File too large");
    const std::string over = "file: cannot write " + path + ": it is complete, or was given up when writing failed";
    REQUIRE(refusal([&] { writer.write("a little"); }) == over);                 // what is there would be a torso
    REQUIRE(refusal([&] { writer.commit(); }) == over);
    REQUIRE(folder.n_files() == 1);
  }
  SECTION("an exception passes before commit") {
    tricycle::FileWriter writer(path);
    writer.write(half);
  }
  SECTION("the temporary is gone") {
    tricycle::FileWriter writer(path);
    ::unlink((path + ".tmp0").c_str());
    REQUIRE(refusal([&] { writer.commit(); }) == "file: cannot write " + path + ": No such file or directory");
    REQUIRE(refusal([&] { writer.commit(); }) == "file: cannot write " + path + ": it is complete, or was given up when writing failed");
  }
  REQUIRE(read_file(path) == "old");
  REQUIRE(folder.n_files() == 1);
}

TEST_CASE("where nothing can be written it is said", "[file]") {
  ScratchFolder folder;
  std::string path = folder / "gone/model";
  REQUIRE(refusal([&] { write_file(path, "new"); }) == "file: cannot write " + path + ": No such file or directory");
  REQUIRE(refusal([&] { write_file(folder.path(), "new"); }) == "file: cannot write " + folder.path() + ": it is not a regular file");
  REQUIRE(refusal([&] { write_file("/dev/full", "new"); }) == "file: cannot write /dev/full: it is not a regular file");
  REQUIRE(refusal([&] { tricycle::append_line("/dev/full", "line"); }) == "file: cannot write /dev/full: No space left on device");
  tricycle::make_folders(folder / "gone");
  tricycle::FileWriter writer(path);
  std::filesystem::remove_all(folder / "gone");
  REQUIRE(refusal([&] { writer.commit(); }) == "file: cannot write " + path + ": No such file or directory");
}

TEST_CASE("a file keeps its permissions when it is replaced, and two writers do not meet", "[file]") {
  ScratchFolder folder;
  std::string path = folder / "a";
  write_file(path, "1");
  ::chmod(path.c_str(), 0640);
  tricycle::FileWriter first(path), second(path);
  first.write("first"), second.write("second");
  second.commit(), first.commit();
  REQUIRE(read_file(path) == "first");
  REQUIRE(refusal([&] { first.commit(); }) == "file: cannot write " + path + ": it is complete, or was given up when writing failed");
  REQUIRE(folder.n_files() == 1);
  struct stat about;
  ::stat(path.c_str(), &about);
  REQUIRE((about.st_mode & 07777) == 0640);
}

TEST_CASE("a log grows by whole lines and is cut by lines", "[file]") {
  ScratchFolder folder;
  std::string path = folder / "metrics.jsonl";
  tricycle::keep_lines(path, [](std::string_view) { return true; });
  REQUIRE_FALSE(tricycle::file_exists(path));
  for (int step : {0, 10, 20}) tricycle::append_line(path, Json::object({{"step", step}}).dump());
  std::string three = "{\"step\":0}\n{\"step\":10}\n{\"step\":20}\n";
  REQUIRE(read_file(path) == three);
  {
    FullDisk full(three.size() + 5);
    REQUIRE(refusal([&] { tricycle::append_line(path, "{\"step\":30}"); }) == "file: cannot write " + path + ": File too large");
  }
  REQUIRE(read_file(path) == three);
  write_file(path, three + "{\"st");
  tricycle::keep_lines(path, [](std::string_view line) { return Json::parse(line).get<int>("step") <= 10; });
  REQUIRE(read_file(path) == "{\"step\":0}\n{\"step\":10}\n");
}

TEST_CASE("folders are made with those above them", "[file]") {
  ScratchFolder folder;
  for (const char* name : {"a/b/c", "a/b/c", "a//d/", "/"}) tricycle::make_folders(*name == '/' ? name : folder / name);
  REQUIRE(tricycle::is_folder(folder / "a/b/c"));
  REQUIRE(tricycle::is_folder(folder / "a/d"));
  write_file(folder / "f", "");
  REQUIRE(refusal([&] { tricycle::make_folders(folder / "f"); }) == "file: cannot make the folder " + folder / "f" + ": File exists");
  REQUIRE(refusal([&] { tricycle::make_folders(folder / "f/g"); }) == "file: cannot make the folder " + folder / "f" + ": File exists");
}
