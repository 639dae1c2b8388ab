#include "cli/train_command.hpp"

#include <spdlog/spdlog.h>

#include <map>
#include <set>
#include <string>
#include <utility>

#include "bntrain/batch_norm_convention.hpp"
#include "bntrain/checkpoint.hpp"
#include "bntrain/error.hpp"
#include "bntrain/trainer.hpp"
#include "cli/data_search.hpp"
#include "cli/interrupt.hpp"
#include "cli/layer_table.hpp"
#include "cli/logging.hpp"
#include "cli/output_file.hpp"
#include "cli/train_report.hpp"

namespace bntrain::cli {
namespace {

void check_output_files(const TrainConfig& config) {
  if (config.record.any() && config.metrics.empty()) {
    throw Error(ErrorKind::usage, "--record " + to_string(config.record) +
                                      " needs --metrics FILE.jsonl: that is where it is written");
  }
  std::set<std::string> paths;
  for (const auto& [flag, path] : {std::pair<std::string, const std::string&>{"--save", config.save},
                                   {"--save-gradients", config.save_gradients},
                                   {"--metrics", config.metrics}}) {
    if (path.empty()) continue;
    expect_writable(flag, path, flag == "--metrics" ? OutputKind::appended : OutputKind::replaced);
    if (!paths.insert(path).second) {
      throw Error(ErrorKind::usage,
                  flag + ": " + path + " is also what another flag writes; name another file");
    }
  }
}

void log_dataset(const Dataset& dataset) {
  spdlog::info("data {} from {}: {} training and {} test images {}, {} classes", dataset.name, dataset.source,
               dataset.train.count, dataset.test.count, bntrain::to_string(dataset.train.shape),
               dataset.classes);
  if (!dataset.known_digests && !dataset.name.starts_with("synthetic")) {
    spdlog::info("the files' digests are unknown: this is not the published Fashion-MNIST");
  }
}

std::map<std::string, std::string> metadata(const TrainConfig& config, const Dataset& dataset,
                                            const Network& network, std::int64_t steps) {
  std::map<std::string, std::string> strings = {
      {"format", "bntrain-model"},
      {"version", BNTRAIN_VERSION},
      {"network", network.text()},
      {"input", bntrain::to_string(network.input())},
      {"classes", std::to_string(network.classes())},
      {"dataset", dataset.name},
      {"bn-momentum", fmt::format("{}", config.batch_norm.momentum)},
      {"bn-eps", fmt::format("{}", config.batch_norm.eps)},
      {"init", config.init_from.empty() ? to_string(config.init) : config.init_from},
      {"seed", std::to_string(config.seed)},
      {"steps", std::to_string(steps)}};
  if (!network.running().empty())
    strings.merge(metadata_of({config.batch_norm.unbiased, values_per_channel(network, config.batch_size)}));
  return strings;
}

void save_files(const TrainConfig& config, const Dataset& dataset, const Trainer& trainer,
                std::int64_t steps) {
  const auto strings = metadata(config, dataset, trainer.network(), steps);
  if (!config.save.empty()) write_safetensors(config.save, {trainer.save(), strings});
  if (!config.save_gradients.empty()) {
    write_safetensors(config.save_gradients, {trainer.save_gradients(), strings});
  }
}

Error divergence_error(const Divergence& divergence) {
  return {
      ErrorKind::diverged,
      fmt::format("training diverged in epoch {} at step {} with --lr {}: the loss is not finite; {}; try a "
                  "smaller --lr",
                  divergence.epoch, divergence.step, divergence.lr,
                  divergence.layer.empty() ? "all layers are finite"
                                           : "the first layer that is not: " + divergence.layer)};
}

void check_gate(const TrainOptions& options, const TrainResult& result) {
  if (!options.assert_accuracy) return;
  if (result.epochs.empty()) throw Error(ErrorKind::gate, "--assert-acc: no epoch was trained");
  const double accuracy = result.epochs.back().test.accuracy;
  if (accuracy >= *options.assert_accuracy) return;
  throw Error(ErrorKind::gate, fmt::format("--assert-acc {}: the last test accuracy is {:.6f}",
                                           *options.assert_accuracy, accuracy));
}

int finish(const TrainOptions& options, const TrainResult& result, int signal) {
  switch (result.end) {
    case TrainEnd::diverged:
      throw divergence_error(*result.divergence);
    case TrainEnd::interrupted:
      spdlog::warn("interrupted after {} steps", result.steps);
      return 128 + signal;
    case TrainEnd::finished:
      break;
  }
  check_gate(options, result);
  return 0;
}

}  // namespace

int run_train(const TrainOptions& options) {
  const TrainConfig& config = options.config;
  adjust_logging(options.quiet, stderr_terminal().color && !options.no_color);
  check_output_files(config);
  const Dataset dataset = load_dataset(config.data, default_data_search());
  if (options.summary) {
    const Network network = Network::parse(config.network, dataset.train.shape, dataset.classes, config.norm);
    print_result(layer_table(network, config.batch_size));
    return 0;
  }

  std::string note;
  const auto backend = make_backend(config.backend, note);
  if (!note.empty()) spdlog::info("{}", note);
  Trainer trainer(config, dataset, *backend);
  if (!config.save_gradients.empty() && trainer.total_steps() == 0) {
    throw Error(ErrorKind::usage, "--save-gradients needs a training step; --epochs is 0");
  }
  log_dataset(dataset);
  for (const std::string& line : trainer.notes()) spdlog::info("{}", line);
  spdlog::info("{}", backend->description());
  spdlog::info("network {}\n{}", trainer.network().text(), layer_table(trainer.network(), config.batch_size));

  TrainReport report(options, trainer, start_record(config, dataset, trainer, backend->description()));
  const InterruptGuard interrupt;
  const TrainResult result = trainer.run(report, interrupt.requested());
  if (const std::string line = trainer.executable().report(); !line.empty()) spdlog::info("{}", line);
  save_files(config, dataset, trainer, result.steps);
  report.on_end(result);
  return finish(options, result, interrupt.signal());
}

}  // namespace bntrain::cli
