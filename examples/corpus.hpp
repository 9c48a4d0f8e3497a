// Text to learn from: a file, or all text files below a folder.
#pragma once
#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>
#include "tricycle/io/file.hpp"

namespace examples {

/// The files below a folder, hidden ones and those in hidden folders left out, in an order that is the same everywhere.
inline std::vector<std::filesystem::path> visible_files(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  std::error_code problem;
  auto entry = std::filesystem::recursive_directory_iterator(folder, problem);
  for (; !problem && entry != std::filesystem::recursive_directory_iterator(); entry.increment(problem)) {
    if (entry->path().filename().string().starts_with('.')) entry.disable_recursion_pending();
    else if (std::error_code dangling; entry->is_regular_file(dangling)) files.push_back(entry->path());
  }
  tricycle::check(!problem, "corpus: a folder in ", folder.string(), " cannot be read: ", problem.message());
  std::sort(files.begin(), files.end());
  return files;
}

/// The text of a file, or of all text files below a folder, one after the other. A file that holds a NUL byte is no text.
/// Throws when the path is not there, cannot be read, or holds no text.
inline std::string read_corpus(const std::filesystem::path& path) {
  auto is_text = [](const std::string& bytes) { return bytes.find('\0') == bytes.npos; };
  std::error_code problem;
  bool is_folder = std::filesystem::is_directory(path, problem);
  tricycle::check(!problem, "corpus: ", path.string(), ": ", problem.message());

  std::string text;
  if (is_folder) {
    for (auto& file : visible_files(path))
      if (std::string bytes = tricycle::read_file(file.string()); is_text(bytes)) text += bytes;
    tricycle::check(!text.empty(), "corpus: there is no text in the folder ", path.string());
  } else {
    text = tricycle::read_file(path.string());
    tricycle::check(!text.empty(), "corpus: ", path.string(), " is empty");
    tricycle::check(is_text(text), "corpus: ", path.string(), " is not text: it holds a NUL byte");
  }
  return text;
}

}  // namespace examples
