// What is told of a run as it goes: a line of metrics.jsonl for each evaluation, TensorBoard's events, and loss.svg.
#pragma once
#include <string>
#include "run_folder.hpp"
#include "tricycle/io/tensorboard.hpp"
#include "tricycle/train/line_chart.hpp"

namespace examples {

struct Evaluation {
  tricycle::Index step;
  double training_loss, validation_loss, tokens_per_s, seconds, learning_rate;
};

class Report {
 public:
  /// Of a run that is at `step`, and whose evaluation there is still to come or not. What was told of later steps is taken
  /// back: a run that was stopped goes on from its last checkpoint.
  Report(const RunFolder& folder, const std::string& title, tricycle::Index step, bool evaluates)
      : metrics_(folder.metrics()), picture_(folder.picture()), title_(title), events_(folder.events(), step + !evaluates) {
    tricycle::about(metrics_, [&] {
      tricycle::keep_lines(metrics_, [&](std::string_view line) {
        auto json = tricycle::Json::parse(line);
        auto of = json.get<tricycle::Index>("step");
        bool kept = of < step || (of == step && !evaluates);
        if (kept) add_points(of, json.get<double>("train_loss"), json.get<double>("val_loss"));
        return kept;
      });
    });
  }

  void add(const Evaluation& e) {
    tricycle::append_line(metrics_, tricycle::Json::object({{"step", e.step}, {"train_loss", e.training_loss}, {"val_loss", e.validation_loss},
                                                            {"tokens_per_s", e.tokens_per_s}, {"seconds", e.seconds}, {"learning_rate", e.learning_rate}}).dump());
    for (auto [tag, x] : {std::pair("loss/training", e.training_loss), {"loss/validation", e.validation_loss}, {"tokens_per_s", e.tokens_per_s}, {"learning_rate", e.learning_rate}})
      events_.scalar(tag, x, e.step);
    add_points(e.step, e.training_loss, e.validation_loss);
    tricycle::write_file(picture_, tricycle::line_chart(title_, "step", "loss", {training_, validation_}));
  }

  /// A sample of what the model writes, indented: so Markdown leaves it as it is.
  void add_sample(const std::string& text, tricycle::Index step) {
    std::string indented = "    ";
    for (char c : tricycle::utf8::repaired(text)) indented += c, indented += c == '\n' ? "    " : "";
    events_.text("sample", indented, step);
  }

 private:
  void add_points(tricycle::Index step, double training, double validation) {
    training_.points.push_back({static_cast<double>(step), training});
    validation_.points.push_back({static_cast<double>(step), validation});
  }

  std::string metrics_, picture_, title_;
  tricycle::EventLog events_;
  tricycle::ChartLine training_{"training", "#3b7dd8", {}}, validation_{"validation", "#e0712c", {}};
};

}  // namespace examples
