// Text to learn from: a file, or all text files below a folder.
#pragma once
#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>
#include "tricycle/core/error.hpp"

namespace examples {

/// A file's bytes. Throws when they cannot be read.
inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string bytes;
  std::array<char, 1 << 16> chunk;
  while (in.read(chunk.data(), chunk.size()), in.gcount() > 0) bytes.append(chunk.data(), static_cast<std::size_t>(in.gcount()));
  tricycle::check(in.eof(), "corpus: ", path.string(), " cannot be read");
  return bytes;
}

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
      if (std::string bytes = read_file(file); is_text(bytes)) text += bytes;
    tricycle::check(!text.empty(), "corpus: there is no text in the folder ", path.string());
  } else {
    text = read_file(path);
    tricycle::check(!text.empty(), "corpus: ", path.string(), " is empty");
    tricycle::check(is_text(text), "corpus: ", path.string(), " is not text: it holds a NUL byte");
  }
  return text;
}

}  // namespace examples
