// How far a training run has come, as text: the library never prints, so the program shows it.
#pragma once
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string>
#include "tricycle/core/error.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// x with so many digits after the point, whatever the locale: 1.9075.
inline std::string as_fixed(double x, int digits) {
  std::array<char, 400> text;                            // the largest double has 309 digits before its point
  auto end = std::to_chars(text.data(), text.data() + text.size(), x, std::chars_format::fixed, (std::min)(digits, 60)).ptr;
  return {text.data(), end};
}

/// A count in three figures: 7.25, 950, 25.3k, 1.25M.
inline std::string as_quantity(double x) {
  const char* unit = "";
  for (const char* larger : {"k", "M", "G", "T"}) {
    if (x < 999.5) break;
    x /= 1000;
    unit = larger;
  }
  return as_fixed(x, x < 9.995 ? 2 : x < 99.95 ? 1 : 0) + unit;
}

/// Seconds as a clock shows them: 0:07, 12:05, 27:07:09.
inline std::string as_clock(double seconds) {
  auto s = static_cast<Index>((std::clamp)(seconds, 0.0, 1e15));
  auto two = [](Index n) { return std::string(n < 10, '0') + std::to_string(n); };
  if (s < 3600) return std::to_string(s / 60) + ':' + two(s % 60);
  return std::to_string(s / 3600) + ':' + two(s / 60 % 60) + ':' + two(s % 60);
}

/// How fast a run is and when it will end. It is told the time, so it needs no clock, and what it says can be tested.
///
///     Progress progress(2000, batch * context);
///     progress.step(done, seconds);  progress.pause(seconds_after_evaluation);  progress.bar(loss, 80);
///       250/2000 ━━━━━━━─────────────────────────────────  loss 2.0113  ETA 1:10  25.3k tokens/s  0:11
/// and, if it is told what the machine can do, how much of that is put to use.
class Progress {
 public:
  /// A run of `total` steps, of which `done` were made by an earlier run.
  Progress(Index total, Index tokens_per_step, Index done = 0) : total_(total), done_(done), tokens_per_step_(static_cast<double>(tokens_per_step)) {
    check(done >= 0 && done <= total, "progress: ", done, " steps done, of ", total);
  }

  /// `done` steps are done, `seconds` after the run began.
  void step(Index done, double seconds) {
    speed_.add(static_cast<double>(done - done_), seconds - seconds_);
    pace_.add(static_cast<double>(done - done_), seconds - seconds_);
    done_ = done;
    seconds_ = seconds;
  }

  /// The time until `seconds` went into something else, such as an evaluation: it delays the end, but no step was slow.
  void pause(double seconds) {
    pace_.add(0, seconds - seconds_);
    seconds_ = seconds;
  }

  /// Of late, pauses left out; 0 before the first step.
  double tokens_per_second() const { return speed_.per_second() * tokens_per_step_; }

  /// Until the last step, pauses like those so far included; 0 while unknown.
  double seconds_left() const { return pace_.per_second() > 0 ? static_cast<double>(total_ - done_) / pace_.per_second() : 0; }

  /// From now on the bar says what part of its arithmetic the machine puts to use: a token takes so many operations, of which
  /// the machine can do `peak` a second.
  void measure_use(double flops_per_token, double peak) {
    check(flops_per_token > 0 && peak > 0, "progress: ", flops_per_token, " operations a token, on a machine that can do ", peak, " a second");
    share_of_token_ = flops_per_token / peak;
  }
  /// That part, 0 to 1 (MFU, model FLOPs utilisation); 0 while unknown.
  double use() const { return tokens_per_second() * share_of_token_; }

  /// One line at most `width` columns wide (in UTF-8, where a column of the bar is three bytes). What does not fit is left
  /// out, from the end: what matters most is said first.
  std::string bar(double loss, int width) const {
    std::string all = std::to_string(total_), counts = std::to_string(done_);
    counts = std::string(all.size() - (std::min)(all.size(), counts.size()), ' ') + counts + '/' + all;
    int room = width - static_cast<int>(counts.size()) - 1;      // for the bar, once everything else has its place
    if (room < 0) return counts.substr(0, static_cast<std::size_t>((std::max)(width, 0)));

    bool known = speed_.per_second() > 0;
    std::string facts;
    for (const std::string& fact : {"loss " + as_fixed(loss, 4), known ? "ETA " + as_clock(seconds_left()) : "ETA -:--",
                                    (known ? as_quantity(tokens_per_second()) : "-") + " tokens/s",
                                    use() > 0 ? as_fixed(100 * use(), 0) + "% MFU" : "", as_clock(seconds_)}) {
      if (fact.empty()) continue;
      int left = room - static_cast<int>(fact.size()) - 2;
      if (left < smallest_bar) break;
      facts += "  " + fact;
      room = left;
    }
    double fraction = total_ > 0 ? static_cast<double>(done_) / static_cast<double>(total_) : 1;
    int filled = static_cast<int>((std::clamp)(fraction, 0.0, 1.0) * room);
    std::string line = counts + ' ';
    for (int column = 0; column < room; ++column) line += column < filled ? "━" : "─";
    return line + facts;
  }

 private:
  static constexpr int smallest_bar = 8;

  /// Events a second, where what is long past counts less: by half after every half-life.
  struct Rate {
    double half_life, events = 0, seconds = 0;

    void add(double new_events, double new_seconds) {
      double kept = std::exp2(-(std::max)(new_seconds, 0.0) / half_life);
      events = events * kept + new_events;
      seconds = seconds * kept + (std::max)(new_seconds, 0.0);
    }
    double per_second() const { return seconds > 0 ? events / seconds : 0; }
  };

  Index total_, done_;
  double tokens_per_step_, seconds_ = 0, share_of_token_ = 0;
  Rate speed_{.half_life = 5}, pace_{.half_life = 60};           // one follows a laptop that grows hot, the other is steady
};

}
}  // namespace tricycle
