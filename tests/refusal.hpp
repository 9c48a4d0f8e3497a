// What the library said when it refused, and a folder to try files in.
#pragma once
#include <filesystem>
#include <stdlib.h>
#include <string>
#include "tricycle/core/error.hpp"

/// The sentence of the Error that `attempt` throws, or "" when it throws none. Anything else passes through.
template <class Attempt>
std::string refusal(Attempt attempt) {
  try {
    attempt();
    return "";
  } catch (const tricycle::Error& error) {
    return error.what();
  }
}

/// An empty folder of its own for each test case, gone after it.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "tricycle_XXXXXX").string();
    path_ = ::mkdtemp(name.data()) ? name : throw std::runtime_error("no scratch folder");
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }
  int n_files() const {
    int n = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(path_)) ++n;
    return n;
  }

 private:
  std::string path_;
};
