// Curves as a picture: SVG, which every browser shows.
#pragma once
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>
#include "tricycle/core/math.hpp"
#include "tricycle/train/progress.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// A curve of a chart: what it is called, an SVG colour, and its points from left to right.
struct ChartLine {
  struct Point {
    double x, y;
  };
  std::string name, colour;
  std::vector<Point> points;
};

/// An axis: what it shows, and the numbers marked on it, which are 1, 2 or 5 times a power of ten apart.
class ChartAxis {
 public:
  /// From at most `low` to at least `high`, with some `n` marks.
  ChartAxis(std::string name, double low, double high, int n) : name_(std::move(name)) {
    check(math::isfinite(low) && math::isfinite(high) && low <= high, "chart: an axis from ", low, " to ", high);
    if (high - low <= 1e-9 * (std::max)(std::abs(low), std::abs(high))) high = low + (low == 0 ? 1 : std::abs(low) / 10);   // one value alone
    const double rough = (high - low) / n, power = std::pow(10, std::floor(std::log10(rough)));
    step_ = power * (rough <= power ? 1 : rough <= 2 * power ? 2 : rough <= 5 * power ? 5 : 10);
    first_ = static_cast<Index>(std::floor(low / step_ + 1e-9));
    last_ = static_cast<Index>(std::ceil(high / step_ - 1e-9));
  }

  const std::string& name() const { return name_; }
  Index marks() const { return last_ - first_ + 1; }
  double mark(Index i) const { return static_cast<double>(first_ + i) * step_; }

  /// As many digits as tell neighbours apart: 1.5; 2k where all are thousands.
  std::string label(Index i) const {
    const bool thousands = step_ >= 999.5;
    int digits = thousands ? 0 : (std::max)(0, static_cast<int>(std::ceil(-std::log10(step_) - 1e-9)));
    return as_fixed(mark(i) / (thousands ? 1000 : 1), digits) + (thousands && first_ + i != 0 ? "k" : "");
  }

  /// How far along the axis x lies, 0 to 1.
  double place(double x) const { return (x - mark(0)) / (mark(marks() - 1) - mark(0)); }

 private:
  std::string name_;
  double step_;
  Index first_, last_;                                   // marks, in steps
};

/// Curves in one frame, each with its name and last value at its end. Throws for a point that is not finite.
inline std::string line_chart(const std::string& title, const std::string& x_name, const std::string& y_name, const std::vector<ChartLine>& lines) {
  constexpr double width = 860, height = 480, left = 70, right = 160, top = 50, bottom = 60;    // the margins hold the text
  double most_x = 0, low = 0, high = 0;
  bool any = false;
  for (auto& line : lines)
    for (auto [x, y] : line.points) {
      check(math::isfinite(x) && math::isfinite(y), "chart: ", line.name, " has a point (", x, ", ", y, ')');
      most_x = (std::max)(most_x, x);
      low = any ? (std::min)(low, y) : y, high = any ? (std::max)(high, y) : y, any = true;
    }
  const ChartAxis x_axis(x_name, 0, most_x, 8), y_axis(y_name, low, high, 6);

  auto number = [](double at) { return as_fixed(at, 1); };
  auto quoted = [](const std::string& text) {
    std::string safe;
    for (char c : text) c == '&' ? safe += "&amp;" : c == '<' ? safe += "&lt;" : safe += c;
    return safe;
  };
  auto across = [&](double x) { return left + x_axis.place(x) * (width - left - right); };
  auto down = [&](double y) { return height - bottom - y_axis.place(y) * (height - top - bottom); };
  auto text = [&](double x, double y, const std::string& style, const std::string& what) {
    return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" " + style + '>' + quoted(what) + "</text>\n";
  };
  auto stroke = [&](double x_1, double y_1, double x_2, double y_2, const char* colour) {
    return "<path d=\"M" + number(x_1) + ' ' + number(y_1) + 'L' + number(x_2) + ' ' + number(y_2) + "\" stroke=\"" + colour + "\"/>\n";
  };

  std::string size = number(width) + ' ' + number(height);
  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + size + "\" width=\"" + number(width) + "\" height=\"" + number(height) +
                    "\" font-family=\"system-ui, Helvetica, Arial, sans-serif\" font-size=\"13\" fill=\"#444\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";
  svg += text(left, top - 22, "font-size=\"17\" font-weight=\"600\" fill=\"#222\"", title);
  for (Index i = 0; i < y_axis.marks(); ++i) {
    double y = down(y_axis.mark(i));
    svg += stroke(left, y, width - right, y, i == 0 ? "#444" : "#e4e4e4") + text(left - 10, y + 4.5, "text-anchor=\"end\"", y_axis.label(i));
  }
  for (Index i = 0; i < x_axis.marks(); ++i) {
    double x = across(x_axis.mark(i));
    svg += stroke(x, height - bottom, x, height - bottom + 5, "#444") + text(x, height - bottom + 21, "text-anchor=\"middle\"", x_axis.label(i));
  }
  svg += text((left + width - right) / 2, height - 16, "text-anchor=\"middle\"", x_axis.name());
  svg += text(0, 0, "text-anchor=\"middle\" transform=\"translate(22 " + number((top + height - bottom) / 2) + ") rotate(-90)\"", y_axis.name());

  std::vector<std::pair<double, const ChartLine*>> ends;
  for (auto& line : lines) {
    if (line.points.empty()) continue;
    std::string path;
    for (auto [x, y] : line.points) path += (path.empty() ? 'M' : 'L') + number(across(x)) + ' ' + number(down(y));
    auto [x, y] = line.points.back();
    svg += "<path d=\"" + path + "\" fill=\"none\" stroke=\"" + line.colour + "\" stroke-width=\"2\" stroke-linejoin=\"round\"/>\n<circle cx=\"" +
           number(across(x)) + "\" cy=\"" + number(down(y)) + "\" r=\"3.5\" fill=\"" + line.colour + "\"/>\n";
    ends.emplace_back(down(y), &line);
  }
  std::sort(ends.begin(), ends.end(), [](auto& a, auto& b) { return a.first < b.first; });
  for (double free = 0; auto [y, line] : ends) {         // names keep their distance where curves meet
    free = (std::max)(free, y);
    auto [last_x, last_y] = line->points.back();
    svg += text(across(last_x) + 10, free + 4.5, "font-weight=\"600\" fill=\"" + line->colour + '"', line->name + ' ' + as_fixed(last_y, 4));
    free += 18;
  }
  return svg + "</svg>\n";
}

}
}  // namespace tricycle
