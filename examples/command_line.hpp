// What the example programs share at their edge: options, --help, errors in one sentence, exit statuses, Ctrl-C.
#pragma once
#include <algorithm>
#include <atomic>
#include <charconv>
#include <concepts>
#include <csignal>
#include <cstdio>
#include <exception>
#include <functional>
#include <limits>
#include <new>
#include <numeric>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>
#include "tricycle/core/device.hpp"

namespace examples {

/// The command line makes no sense. run_main says why and exits with 2.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// --help was asked for: what() is the text. run_main prints it and exits with 0.
struct HelpRequest : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// What a number must satisfy; nothing unless told.
struct Limits {
  static constexpr double infinity = std::numeric_limits<double>::infinity();
  double least = -infinity, most = infinity;             // themselves allowed
  double above = -infinity, below = infinity;            // themselves not
};

/// Is a word one of those between the bars of "float|bf16"?
inline bool is_one_of(const std::string& word, const std::string& choices) {
  return !word.empty() && word.find('|') == word.npos && ('|' + choices + '|').find('|' + word + '|') != choices.npos;
}

template <class T> concept Number = (std::integral<T> || std::floating_point<T>) && !std::same_as<T, bool>;

/// A table of long options, each tied to the variable that it sets: `--steps 20` or `--steps=20`, the last one wins.
/// A value that begins with two dashes needs the second form.
///
///     line.about("Trains a GPT on text.");
///     line.option("--steps N", steps, "updates of the weights", {.least = 1});
///     line.choice("--precision float|bf16", precision, "what the layers compute in");
///     line.flag("--quiet", quiet, "print results alone");
///     line.parse();
///
/// What a variable holds when it is tied is the default that --help shows.
class CommandLine {
 public:
  /// `words` as main gets them: the program, then its arguments.
  explicit CommandLine(std::vector<std::string> words) : words_(std::move(words)) {
    if (words_.empty()) words_.emplace_back("program");
  }

  /// The program's name, without its folder.
  std::string program() const { return words_[0].substr(words_[0].rfind('/') + 1); }

  /// One sentence for --help.
  void about(std::string text) { about_ = std::move(text); }

  /// An option with a value, its spelling and the word for the value in one: "--steps N".
  template <Number T>
  void option(const std::string& usage, T& target, const std::string& help, Limits limits = {}) {
    add(usage, help, written(target), [&target, limits](auto& name, auto& text) { target = number<T>(name, text, limits); });
  }
  void option(const std::string& usage, std::string& target, const std::string& help) {
    add(usage, help, target, [&target](auto&, auto& text) { target = text; });
  }

  /// An option without a default: the target stays empty unless it is given.
  template <Number T>
  void option(const std::string& usage, std::optional<T>& target, const std::string& help, Limits limits = {}) {
    add(usage, help, "", [&target, limits](auto& name, auto& text) { target = number<T>(name, text, limits); });
  }

  /// An option whose value is one of those in its usage, "--precision float|bf16", or, where they are too many, of `choices`.
  void choice(const std::string& usage, std::string& target, const std::string& help, std::string choices = "") {
    if (choices.empty()) choices = usage.substr(usage.find(' ') + 1);
    add(usage, help, target, [&target, choices](auto& name, auto& text) {
      if (!is_one_of(text, choices)) throw UsageError(name + " is one of " + choices + ", not '" + text + "'");
      target = text;
    });
  }

  /// An option without a value, which sets its target.
  void flag(const std::string& usage, bool& target, const std::string& help) {
    add(usage, help, "", [&target](auto&, auto&) { target = true; });
  }

  /// A device by its name: cpu, cuda or cuda:N.
  void option(const std::string& usage, tricycle::Device& target, const std::string& help) {
    std::ostringstream preset;
    preset << target;
    add(usage, help, preset.str(), [&target](const std::string& name, const std::string& text) {
      auto device = tricycle::Device::named(text);
      if (!device) throw UsageError(name + " is cpu, cuda or cuda:N, not '" + text + "'");
      target = *device;
    });
  }

  /// The value given to an option, if any, without parsing: for one that decides what the defaults of others are.
  std::optional<std::string> peek(const std::string& name) const {
    std::optional<std::string> value;
    for (std::size_t i = 1; i < words_.size(); ++i) {
      if (words_[i].starts_with(name + '=')) value = words_[i].substr(name.size() + 1);
      else if (words_[i] == name && i + 1 < words_.size() && !words_[i + 1].starts_with("--")) value = words_[i + 1];
    }
    return value;
  }

  /// Sets every target that the words mention. Throws UsageError or HelpRequest.
  void parse() const {
    if (std::find(words_.begin() + 1, words_.end(), "--help") != words_.end()) throw HelpRequest(help());
    for (std::size_t i = 1; i < words_.size(); ++i) {
      const std::string& word = words_[i];
      if (!word.starts_with("--")) throw UsageError("unexpected '" + word + "': options begin with two dashes, and --help lists them");
      std::size_t equals = word.find('=');
      std::string name = word.substr(0, equals);
      const Option& option = find(name);
      if (option.is_flag()) {
        if (equals != word.npos) throw UsageError(name + " takes no value");
        option.set(name, "");
      } else if (equals != word.npos) {
        option.set(name, word.substr(equals + 1));
      } else {
        if (i + 1 == words_.size() || words_[i + 1].starts_with("--")) throw UsageError(option.usage + " lacks its value");
        option.set(name, words_[++i]);
      }
    }
  }

  /// What --help prints.
  std::string help() const {
    std::size_t widest = std::string_view("--help").size();
    for (auto& option : options_) widest = std::max(widest, option.usage.size());
    auto row = [&](const std::string& left, const std::string& right) {
      return "  " + left + std::string(widest + 2 - left.size(), ' ') + right + '\n';
    };
    std::string text = "usage: " + program() + " [options]\n" + (about_.empty() ? "" : about_ + '\n') + '\n';
    for (auto& option : options_) text += row(option.usage, option.help + (option.preset.empty() ? "" : " (default " + option.preset + ")"));
    return text + row("--help", "print this and stop");
  }

 private:
  using Set = std::function<void(const std::string& name, const std::string& text)>;
  struct Option {
    std::string usage, help, preset;
    Set set;
    std::string name() const { return usage.substr(0, usage.find(' ')); }
    bool is_flag() const { return usage.find(' ') == usage.npos; }
  };

  void add(std::string usage, std::string help, std::string preset, Set set) {
    options_.push_back({std::move(usage), std::move(help), std::move(preset), std::move(set)});
  }

  const Option& find(const std::string& name) const {
    const Option* nearest = nullptr;
    std::size_t least = 3;                               // more than two slips of the finger are another word
    for (auto& option : options_) {
      std::size_t slips = distance(name, option.name());
      if (slips == 0) return option;
      if (slips < least) nearest = &option, least = slips;
    }
    throw UsageError("unknown option " + name + (nearest ? ", did you mean " + nearest->name() + '?' : ", --help lists them all"));
  }

  /// How many letters must be put in, left out or replaced to make one word of the other (Levenshtein 1965).
  static std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < a.size(); ++i) {
      std::size_t diagonal = std::exchange(row[0], i + 1);
      for (std::size_t j = 0; j < b.size(); ++j) {
        std::size_t swapped = diagonal + (a[i] != b[j]);
        diagonal = std::exchange(row[j + 1], std::min({swapped, row[j] + 1, row[j + 1] + 1}));
      }
    }
    return row.back();
  }

  /// The whole of `text` as a finite T within the limits.
  template <Number T>
  static T number(const std::string& name, const std::string& text, const Limits& limits) {
    T value{};
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    bool finite = text.find_first_of("nN") == text.npos; // both "nan" and "inf" have one, and no number does
    if (error == std::errc::invalid_argument || end != text.data() + text.size() || !finite)
      throw UsageError(name + " needs " + (std::integral<T> ? "a whole number" : "a number") + ", not '" + text + "'");
    if (error == std::errc::result_out_of_range) throw UsageError(name + " cannot hold " + text);
    auto x = static_cast<double>(value);
    auto demand = [&](bool holds, const char* words, double limit) {
      if (!holds) throw UsageError(name + " must be " + words + ' ' + written(limit) + ", not " + text);
    };
    demand(x >= limits.least, "at least", limits.least);
    demand(x <= limits.most, "at most", limits.most);
    demand(x > limits.above, "above", limits.above);
    demand(x < limits.below, "below", limits.below);
    return value;
  }

  template <Number T>
  static std::string written(T value) {
    char text[32];
    return {text, std::to_chars(text, text + sizeof text, value).ptr};
  }

  std::vector<std::string> words_;
  std::string about_;
  std::vector<Option> options_;
};

/// The body of main: runs `program(line)` and returns what it returns. Whatever it throws becomes one sentence on stderr
/// and a status: 2 when the command line makes no sense, 1 for everything else.
template <class Program>
int run_main(int argc, char** argv, Program program) {
  CommandLine line(std::vector<std::string>(argv, argv + argc));
  auto refuse = [&](const char* sentence, int status) {
    std::fflush(stdout);
    std::fprintf(stderr, "%s: %s\n", line.program().c_str(), sentence);
    return status;
  };
  try {
    int status = 0;
    try {
      status = program(line);
    } catch (const HelpRequest& help) {
      std::fputs(help.what(), stdout);
    }
    if (std::fflush(stdout) != 0 || std::ferror(stdout)) return refuse("standard output cannot be written", 1);
    return status;
  } catch (const UsageError& error) {
    return refuse(error.what(), 2);
  } catch (const std::bad_alloc&) {
    return refuse("out of memory", 1);
  } catch (const std::exception& error) {
    return refuse(error.what(), 1);
  }
}

inline std::atomic<bool> interrupt_came = false;
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may not wait for a lock");

/// From now on the first Ctrl-C, or a polite kill, only makes interrupted() true. The second ends the program at once.
inline void catch_interrupts() {
  auto handler = [](int) {
    interrupt_came = true;
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
  };
  std::signal(SIGINT, handler);
  std::signal(SIGTERM, handler);
}

/// Should the program save what it has, and exit with 130?
inline bool interrupted() { return interrupt_came; }

}  // namespace examples
