// The program's side of a terminal: plain lines on stdout, and below them, if somebody watches, a bar that is redrawn.
#pragma once
#include <sys/ioctl.h>
#include <unistd.h>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace examples {

/// Lines go to stdout. The bar goes to stderr and only if that is a terminal, so a redirected output holds lines alone.
class Terminal {
 public:
  Terminal() = default;
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  ~Terminal() { clear(); }

  /// Is there somebody to draw a bar for?
  bool interactive() const { return interactive_; }

  /// Columns that a bar may fill. The last is left free, for there some terminals begin a new line.
  int width() const {
    winsize size{};
    return (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80) - 1;
  }

  /// Shows the line that `bar(width)` makes in place of the last one: ten times a second at most, for eyes see no more.
  template <class Bar>
  void redraw(Bar bar) {
    auto now = std::chrono::steady_clock::now();
    if (!interactive_ || (drawn_ && now - drawn_at_ < std::chrono::milliseconds(100))) return;
    std::fprintf(stderr, "\r%s\x1b[K", bar(width()).c_str());
    std::fflush(stderr);
    drawn_ = true;
    drawn_at_ = now;
  }

  /// A line for good. The bar makes room for it, and comes back with the next redraw.
  void line(const std::string& text) {
    clear();
    std::printf("%s\n", text.c_str());
    std::fflush(stdout);
  }

  /// Takes the bar away, before anything else is written.
  void clear() {
    if (!drawn_) return;
    std::fputs("\r\x1b[K", stderr);
    std::fflush(stderr);
    drawn_ = false;
  }

 private:
  static bool can_redraw() {
    const char* kind = std::getenv("TERM");
    return isatty(STDERR_FILENO) && kind && std::string_view(kind) != "dumb";
  }

  bool interactive_ = can_redraw();
  bool drawn_ = false;
  std::chrono::steady_clock::time_point drawn_at_;
};

}  // namespace examples
