// bntrain eval: how good a model is.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "bntrain/backend.hpp"
#include "bntrain/error.hpp"
#include "bntrain/evaluate.hpp"
#include "bntrain/model_file.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/inputs.hpp"
#include "cli/flags/paths.hpp"
#include "cli/flags/values.hpp"
#include "cli/flags/workload.hpp"
#include "cli/reports/eval_report.hpp"
#include "cli/reports/output.hpp"
#include "cli/reports/output_files.hpp"
#include "core/rescue.hpp"
#include "core/write_file.hpp"
#include "formats/safetensors.hpp"
#include "network/batch_norm_convention.hpp"

namespace bntrain::cli {
namespace {

struct EvalOptions {
  std::string model;
  ModelDescription description;
  std::string data;
  Split split = Split::test;
  std::int64_t batch_size = 256;
  std::vector<NormStatistics> statistics{NormStatistics::running};
  BackendOptions backend;
  std::string csv;              ///< "" = nothing, as below
  std::string logits;           ///< one row an image, with the first of `statistics`
  std::string save_recomputed;  ///< the model with recomputed statistics
  bool json = false;            ///< one JSON object instead of the tables on stdout
  LogOptions log;
};

void check_options(const EvalOptions& options) {
  expect_outputs({{"csv", options.csv, OutputKind::replaced},
                  {"logits", options.logits, OutputKind::safetensors},
                  {"save-recomputed", options.save_recomputed, OutputKind::safetensors}},
                 {{options.model, "the model that is evaluated", "save-recomputed"}});
  const bool recomputes =
      std::ranges::find(options.statistics, NormStatistics::recomputed) != options.statistics.end();
  if (!options.save_recomputed.empty() && !recomputes)
    throw Error(ErrorKind::usage, "save-recomputed", "it needs --bn-stats recomputed (or all)");
}

/// The recomputed variance is M2 / n over the training images.
void save_recomputed(const std::string& path, Model model, const ModelState& state, const Dataset& dataset) {
  check_values(model.network, state, "the recomputed statistics", StatisticsUse::inference);
  model.state = state;
  for (const auto& [name, value] :
       metadata_of({.unbiased = false, .values = values_per_channel(model.network, dataset.train.count)})) {
    model.metadata[name] = value;
  }
  write_or_rescue(path, [&](const std::filesystem::path& file) { save_model(file, model); });
}

Model load_for(const EvalOptions& options, const Dataset& dataset) {
  ModelDescription known = options.description;
  known.input = dataset.train.shape;
  known.classes = dataset.classes;
  // Weights with ruined statistics can be evaluated without them, and mended by --save-recomputed.
  if (std::ranges::find(options.statistics, NormStatistics::running) == options.statistics.end())
    known.statistics = StatisticsUse::none;
  Model model = open_model(options.model, known);
  expect_fit(options.model, model.network, dataset);
  const bool asks_for_more = options.statistics != std::vector{NormStatistics::running};
  if (model.network.running().empty() && asks_for_more)
    throw Error(ErrorKind::usage, "bn-stats",
                options.model + " has no batch norm, so there are no statistics");
  return model;
}

ModelEvaluation evaluate(Evaluator& evaluator, NormStatistics statistics) {
  return statistics == NormStatistics::batch ? evaluator.evaluate_by_batch() : evaluator.evaluate();
}

void write_logits(const std::string& path, const ModelEvaluation& found, std::int64_t classes) {
  write_safetensors(path, {{{{"logits", {found.metrics.count, classes}, found.logits}}}, {}});
}

void warn_of_undecided(const EvalResult& result) {
  const std::int64_t count = result.confusion.undecided_count();
  if (count == 0) return;
  spdlog::warn("with {} statistics {} of {} images have NaN logits; they are counted as incorrect",
               to_string(result.statistics), count, result.metrics.count);
}

/// After everything else was written: a loss that is no number is no success.
void expect_finite(const EvalReport& report) {
  for (const EvalResult& result : report.results) {
    if (std::isfinite(result.metrics.loss)) continue;
    throw Error(ErrorKind::diverged,
                fmt::format("{}: with {} statistics the loss is not finite; a layer's values exceed float32",
                            report.model, to_string(result.statistics)));
  }
}

/// "running", "running,batch" or "all".
std::vector<NormStatistics> parse_statistics(const std::string& text) {
  if (text == "all") return {NormStatistics::running, NormStatistics::batch, NormStatistics::recomputed};
  return parse_choices<NormStatistics>(
      "--bn-stats", text, statistics_names,
      "allowed: running, batch, recomputed, several of them once each with commas, or all");
}

int run(const EvalOptions& given) {
  adjust_logging(given.log);
  EvalOptions options = given;
  options.model = model_file(given.model);
  check_options(options);
  const Dataset dataset = load_data(
      options.data, needs_of_model(options.model, options.description.classes, options.split == Split::test));
  const Model model = load_for(options, dataset);
  const auto backend = open_backend(options.backend);
  spdlog::info("{}: {}, {} parameters", options.model, model.network.text(), model.network.parameter_count());
  spdlog::info("{}", backend->description());

  const auto evaluator_of = [&](const ImageSet& images) {
    return Evaluator(model.network, model.batch_norm, images, options.batch_size, *backend);
  };
  const ImageSet& images = options.split == Split::test ? dataset.test : dataset.train;
  Evaluator evaluator = evaluator_of(images);
  EvalReport report{.model = options.model,
                    .network = model.network.text(),
                    .dataset = dataset.name,
                    .split = name_of(options.split, split_names),
                    .batch_size = options.batch_size,
                    .backend = backend->description(),
                    .variant = evaluator.variant(),
                    .classes = class_names(dataset.name, dataset.classes),
                    .results = {}};
  for (const NormStatistics statistics : options.statistics) {
    if (statistics == NormStatistics::recomputed) {
      const ModelState state = evaluator_of(dataset.train).recompute_statistics(model.state);
      if (!options.save_recomputed.empty()) save_recomputed(options.save_recomputed, model, state, dataset);
      evaluator.load(state);
    } else {
      evaluator.load(model.state);
    }
    const ModelEvaluation found = evaluate(evaluator, statistics);
    if (!options.logits.empty() && report.results.empty())
      write_logits(options.logits, found, dataset.classes);
    report.results.push_back(
        {statistics, found.metrics, ConfusionMatrix(dataset.classes, found.logits, images.labels)});
    warn_of_undecided(report.results.back());
  }
  if (const std::string line = evaluator.report(); !line.empty()) spdlog::info("{}", line);
  if (!options.csv.empty()) write_file(options.csv, eval_csv(report));
  print_result(options.json ? one_line(eval_record(report)) : eval_tables(report));
  expect_finite(report);
  return 0;
}

void bind_flags(CLI::App& app, EvalOptions& options) {
  CLI::App& eval =
      add_command(app, "eval", "evaluate a model: loss, accuracy, scores by class, confusion matrix");
  add_argument(eval, "MODEL", options.model,
               "a safetensors file, such as train --save writes, or the folder of a run")
      ->required();
  in_group(eval, "Model", [&] { add_description(eval, options.description); });
  in_group(eval, "Workload", [&] {
    add_data(eval, options.data);
    add_classes(eval, options.description.classes, "the number of classes, where neither file nor data say");
    add_split(eval, options.split, "which images to evaluate on");
    add_batch_size(eval, options.batch_size);
    add_value(eval, "--bn-stats", "running|batch|recomputed|all", "running",
              "statistics that batch norms use: running ones, each batch's own, or recomputed over the whole "
              "training set; several with commas",
              [&options](const std::string& text) { options.statistics = parse_statistics(text); });
  });
  in_group(eval, "Machine", [&] { add_machine(eval, options.backend); });
  in_group(eval, "Files", [&] {
    add_path(eval, "--csv", options.csv, "FILE.csv", "write scores and confusion matrix, a row a class");
    add_path(eval, "--logits", options.logits, "FILE.safetensors",
             "write the logits as a tensor [images, classes], with the first of --bn-stats");
    add_path(eval, "--save-recomputed", options.save_recomputed, "FILE.safetensors",
             "write the model with the recomputed statistics");
  });
  in_group(eval, "Output", [&] {
    add_output(eval, options.json, "one JSON object instead of the tables on stdout", options.log);
  });
  set_footer(
      eval,
      {"recomputed: mean and variance (M2 / n) of the inputs of each batch norm over all training images,",
       "layer by layer, with the recomputed statistics in the layers before it. The other tables are those "
       "of",
       "the first --bn-stats.", sources_note(eval)});
}

}  // namespace

Run add_eval(CLI::App& app) {
  return command<EvalOptions>(app, bind_flags, run);
}

}  // namespace bntrain::cli
