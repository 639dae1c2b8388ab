#include "cli/eval_command.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bntrain/batch_norm_convention.hpp"
#include "bntrain/checkpoint.hpp"
#include "bntrain/error.hpp"
#include "bntrain/evaluation.hpp"
#include "cli/data_search.hpp"
#include "cli/eval_report.hpp"
#include "cli/logging.hpp"
#include "cli/model_fit.hpp"
#include "cli/output_file.hpp"
#include "cli/train_report.hpp"
#include "core/write_file.hpp"

namespace bntrain::cli {
namespace {

bool asks_for(const EvalOptions& options, NormStatistics statistics) {
  return std::ranges::find(options.statistics, statistics) != options.statistics.end();
}

void check_options(const EvalOptions& options) {
  if (!options.csv.empty()) expect_writable("--csv", options.csv, OutputKind::replaced);
  if (!options.logits.empty()) expect_writable("--logits", options.logits, OutputKind::replaced);
  if (options.save_recomputed.empty()) return;
  if (!asks_for(options, NormStatistics::recomputed))
    throw Error(ErrorKind::usage, "--save-recomputed needs --bn-stats recomputed (or all)");
  expect_writable("--save-recomputed", options.save_recomputed, OutputKind::replaced);
}

/// The recomputed variance is M2 / n over the training images.
std::map<std::string, std::string> metadata_of_recomputed(const Model& model, const Dataset& dataset) {
  std::map<std::string, std::string> metadata = model.metadata;
  for (const auto& [name, value] :
       metadata_of({.unbiased = false, .values = values_per_channel(model.network, dataset.train.count)})) {
    metadata[name] = value;
  }
  return metadata;
}

Model load_for(const EvalOptions& options, const Dataset& dataset) {
  ModelDescription known = options.description;
  known.input = dataset.train.shape;
  known.classes = dataset.classes;
  Model model = load_model(options.model, known);
  expect_fit(options.model, model.network, dataset);
  const bool asks_for_more = options.statistics != std::vector{NormStatistics::running};
  if (model.network.running().empty() && asks_for_more)
    throw Error(ErrorKind::usage,
                "--bn-stats: " + options.model + " has no batch norm, so there are no statistics");
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
  spdlog::warn(
      "with {} statistics {} of {} images have logits that are not numbers (NaN); they count as wrong",
      to_string(result.statistics), count, result.metrics.count);
}

void write_csv(const std::string& path, const std::string& text) {
  FileWriter writer(path);
  writer.write(text.data(), text.size());
  writer.commit();
}

}  // namespace

int run_eval(const EvalOptions& options) {
  adjust_logging(options.log);
  check_options(options);
  Dataset dataset = load_dataset(options.data, default_data_search());
  const Model model = load_for(options, dataset);
  std::string note;
  const auto backend = make_backend(options.backend, note);
  if (!note.empty()) spdlog::info("{}", note);
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
                    .split = to_string(options.split),
                    .batch_size = options.batch_size,
                    .backend = backend->description(),
                    .variant = evaluator.variant(),
                    .classes = class_names(dataset.name, dataset.classes),
                    .results = {}};
  for (const NormStatistics statistics : options.statistics) {
    if (statistics == NormStatistics::recomputed) {
      const ModelState state = evaluator_of(dataset.train).recompute_statistics(model.state);
      if (!options.save_recomputed.empty())
        write_safetensors(options.save_recomputed, {state, metadata_of_recomputed(model, dataset)});
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
  if (!options.csv.empty()) write_csv(options.csv, eval_csv(report));
  print_result(options.json ? eval_record(report).dump(-1, ' ', false, Json::error_handler_t::replace)
                            : eval_tables(report));
  return 0;
}

}  // namespace bntrain::cli
