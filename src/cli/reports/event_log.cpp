#include "cli/reports/event_log.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "bntrain/dataset.hpp"
#include "bntrain/error.hpp"
#include "cli/flags/paths.hpp"
#include "core/write_file.hpp"
#include "formats/safetensors.hpp"
#include "train/mistakes.hpp"
#include "train/probe.hpp"

namespace bntrain::cli {
namespace fs = std::filesystem;
namespace {

using Values = std::vector<EventValue>;

/// Whether it is the folder of the run that is resumed.
bool continues(const TrainOptions& options) {
  return !options.stored_events.empty() && same_file(options.stored_events, options.tensorboard);
}

/// Makes the folder and takes it for this process, if the run's folder, which is taken, is another one.
std::unique_ptr<FolderLock> taken_folder(const TrainOptions& options) {
  std::error_code error;
  fs::create_directories(options.tensorboard, error);
  if (error)
    throw Error(ErrorKind::data, "tensorboard",
                "the folder " + options.tensorboard + " cannot be made: " + error.message());
  auto lock = same_file(options.tensorboard, options.out) ? nullptr
                                                          : std::make_unique<FolderLock>(options.tensorboard);
  expect_event_folder(options);  // another process may have begun a run in it
  return lock;
}

/// As a cell of a table of Markdown, in which data are text.
std::string cell(const Json& value) {
  const std::string text = valid_utf8(value.is_string() ? value.get<std::string>() : value.dump());
  std::string result;
  for (const char letter : text) {
    switch (letter) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '\n':
      case '\r':
        result += ' ';
        break;
      default:
        if (std::string_view("\\`*_{}[]()#+!|~").find(letter) != std::string_view::npos) result += '\\';
        result += letter;
    }
  }
  return result;
}

std::string row(const Json& a, const Json& b) {
  return "| " + cell(a) + " | " + cell(b) + " |\n";
}

Markdown configuration(const Json& start) {
  std::string table = "| setting | value |\n|---|---|\n";
  for (const char* fact : {"network", "parameters", "backend", "variant", "processor"})
    table += row(fact, start.at(fact));
  table += row("version", start.at("versions").at("bntrain"));
  for (const auto& [key, value] : start.at("dataset").items()) table += row("dataset " + key, value);
  for (const auto& [key, value] : start.at("config").items())
    if (value != "") table += row("--" + key, value);
  return {table};
}

void add_metrics(Values& values, const std::string& set, const AverageMetrics& metrics) {
  values.push_back({"loss/" + set, metrics.loss});
  values.push_back({"accuracy/" + set, metrics.accuracy});
}

Values epoch_values(const EpochResult& epoch, EvaluatedSet evaluated) {
  Values values;
  add_metrics(values, "train", epoch.train);
  add_metrics(values, to_string(evaluated), epoch.test);
  values.push_back({"images_per_second", images_per_second(epoch)});
  return values;
}

void add_histogram(Values& values, const std::string& tag, Histogram histogram) {
  if (histogram.count > 0) values.push_back({tag, std::move(histogram)});
}

Histogram of_channels(const NormRecord& norm, double NormChannel::*member) {
  std::vector<float> values;
  for (const NormChannel& channel : norm.channels) values.push_back(static_cast<float>(channel.*member));
  return histogram(values);
}

/// "Coat 0.0213"
std::string answer(const std::vector<std::string>& names, std::int64_t label, double probability) {
  return fmt::format("{} {:.4f}", names.at(static_cast<std::size_t>(label)), probability);
}

}  // namespace

void expect_event_folder(const TrainOptions& options) {
  if (options.tensorboard.empty()) return;
  const auto refuse = [](ErrorKind kind, const std::string& reason) {
    throw Error(kind, "tensorboard", reason);
  };
  try {
    serialized({});
  } catch (const Error& error) {
    refuse(error.kind(), error.message());
  }
  const fs::path folder = options.tensorboard;
  std::error_code ignored;
  if (fs::exists(folder, ignored) && !fs::is_directory(folder, ignored))
    refuse(ErrorKind::data, folder.string() + " is a file; name a folder");
  if (holds_event_files(folder) && !continues(options))
    refuse(
        ErrorKind::usage,
        "the folder " + folder.string() +
            " already holds event files of a run; name another folder (--resume continues a run that --out "
            "keeps, in the same curves)");
}

EventLog::EventLog(const TrainOptions& options, const Json& start)
    : lock_(taken_folder(options)),
      begun_(options.stored ? options.stored->checkpoint.progress.steps : 0),
      file_(options.tensorboard, begun_),
      every_step_(options.config.log_every > 0) {
  Values values = {{"configuration", configuration(start)}};
  // The last epoch ended at this very step, and was made void with what comes again.
  if (options.stored) {
    const std::optional<EpochResult>& last = options.stored->checkpoint.progress.epochs.last;
    const EvaluatedSet evaluated = options.config.valid > 0 ? EvaluatedSet::validation : EvaluatedSet::test;
    if (last && last->steps == begun_)
      std::ranges::move(epoch_values(*last, evaluated), std::back_inserter(values));
  }
  file_.write(begun_, values);
}

void EventLog::on_steps(std::int64_t, std::int64_t first_step, const std::vector<StepMetrics>& steps) {
  // Otherwise one of each interval that is drained together: a picture for nothing.
  for (std::size_t i = every_step_ || steps.empty() ? 0 : steps.size() - 1; i < steps.size(); ++i)
    file_.write(
        first_step + static_cast<std::int64_t>(i),
        {{"loss/step", steps[i].loss()}, {"accuracy/step", steps[i].accuracy()}, {"lr", steps[i].lr}});
}

void EventLog::on_evaluation(const Evaluation& evaluation) {
  Values values;
  add_metrics(values, to_string(evaluation.evaluated), evaluation.test);
  file_.write(evaluation.steps, values);
}

void EventLog::on_record(const StepRecord& record) {
  Values values;
  for (const NormRecord& norm : record.norms) {
    add_histogram(values, "input/" + norm.layer, norm.histogram);
    add_histogram(values, "gamma/" + norm.layer, of_channels(norm, &NormChannel::gamma));
    add_histogram(values, "beta/" + norm.layer, of_channels(norm, &NormChannel::beta));
  }
  for (const ActivationRecord& activation : record.activations)
    add_histogram(values, "input/" + activation.layer, activation.histogram);
  file_.write(record.step, values);
}

void EventLog::on_answers(const Trainer& trainer, const EpochResult& epoch,
                          const std::vector<float>& logits) {
  // Before the step that a run resumes from, so that the last epoch's are not void then.
  const std::int64_t step = std::max(epoch.steps - 1, begun_);
  const Dataset& data = trainer.data();
  const std::vector<std::string> names = class_names(data.name, data.classes);
  Values values;
  std::string table = "| | image | label | predicted |\n|---|---|---|---|\n";
  for (const Mistake& mistake : worst_mistakes(logits, data.test.labels, data.classes)) {
    const std::string number = fmt::format("{:02}", values.size() + 1);
    table += fmt::format("| {} | {} | {} | {} |\n", number, mistake.index,
                         cell(answer(names, mistake.label, mistake.label_probability)),
                         cell(answer(names, mistake.predicted, mistake.probability)));
    values.push_back({"mistakes/" + number, png_of(data.test, mistake.index)});
  }
  values.push_back({"mistakes", Markdown{table}});
  file_.write(step, values);
}

void EventLog::on_epoch(const EpochResult& epoch) {
  if (epoch.test.count > 0) file_.write(epoch.steps, epoch_values(epoch, epoch.evaluated));
}

void EventLog::on_end(const TrainResult& result) {
  if (result.final_test.count == 0) return;
  Values values;
  add_metrics(values, to_string(EvaluatedSet::test), result.final_test);
  file_.write(result.steps, values);
}

}  // namespace bntrain::cli
