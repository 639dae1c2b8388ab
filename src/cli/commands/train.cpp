// bntrain train: the training run.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <future>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "bntrain/backend.hpp"
#include "bntrain/error.hpp"
#include "bntrain/model_file.hpp"
#include "bntrain/train.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/inputs.hpp"
#include "cli/commands/interrupt.hpp"
#include "cli/flags/experiment.hpp"
#include "cli/flags/resume.hpp"
#include "cli/flags/values.hpp"
#include "cli/flags/workload.hpp"
#include "cli/reports/output.hpp"
#include "cli/reports/run_folder.hpp"
#include "cli/reports/tables.hpp"
#include "cli/reports/train_report.hpp"
#include "formats/safetensors.hpp"
#include "network/batch_norm_convention.hpp"

namespace bntrain::cli {
namespace {

void check_output_files(const TrainOptions& options) {
  const TrainConfig& config = options.config;
  if (config.record.any() && options.metrics.empty() && options.out.empty()) {
    throw Error(ErrorKind::usage, "record",
                "it needs --metrics FILE.jsonl or --out RUN: that is where it is written");
  }
  std::set<std::string> paths;
  if (!options.out.empty()) {
    for (const char* name : run_files) paths.insert((std::filesystem::path(options.out) / name).string());
  }
  for (const auto& [flag, path] : {std::pair<std::string, const std::string&>{"save", options.save},
                                   {"save-gradients", options.save_gradients},
                                   {"metrics", options.metrics}}) {
    if (path.empty()) continue;
    expect_writable(flag, path, flag == "metrics" ? OutputKind::appended : OutputKind::replaced);
    if (!paths.insert(path).second) {
      throw Error(ErrorKind::usage, flag, path + " is also what another flag writes; name another file");
    }
  }
}

/// With initial values of a file that knows more classes than the data show, its last layer is kept.
Dataset load_training_data(TrainOptions& options) {
  Dataset dataset =
      load_data(options.data, {.classes = options.classes, .test_set = options.config.valid == 0});
  if (options.init_from.empty() || options.classes || options.stored) return dataset;
  const std::int64_t stored = stored_classes(options.init_from).value_or(0);
  if (stored <= dataset.classes) return dataset;
  spdlog::info("the data show {} classes, and {} has {}: the network keeps those; --classes says otherwise",
               dataset.classes, options.init_from, stored);
  options.classes = dataset.classes = stored;
  return dataset;
}

void log_dataset(const Dataset& dataset) {
  spdlog::info("data {} from {}: {} training and {} test images {}, {} classes", dataset.name, dataset.source,
               dataset.train.count, dataset.test.count, bntrain::to_string(dataset.train.shape),
               dataset.classes);
  if (std::ranges::find(dataset.train.labels, 0) == dataset.train.labels.end())
    spdlog::info("no training label is 0: the network's first output has no images");
  if (!dataset.known_digests && !dataset.name.starts_with("synthetic")) {
    spdlog::info("the files' digests are unknown: this is not the published Fashion-MNIST");
  }
}

/// The model as its files describe it.
Model described_model(const TrainOptions& options, const Trainer& trainer) {
  Model model = trainer.model();
  if (!options.init_from.empty()) model.metadata["init"] = options.init_from;
  return model;
}

void save_files(const TrainOptions& options, const Trainer& trainer) {
  if (options.save.empty() && options.save_gradients.empty()) return;
  const Model model = described_model(options, trainer);
  if (!options.save.empty()) save_model(options.save, model);
  if (!options.save_gradients.empty()) {
    write_safetensors(options.save_gradients, {trainer.save_gradients(), file_metadata(model)});
  }
}

/// The settings that records and checkpoints hold.
Json run_settings(const TrainOptions& options, const Trainer& trainer) {
  Json settings = settings_record(options);
  // An extended run keeps the schedule; the constant one has no end.
  if (options.config.schedule.text != "constant") settings["schedule-steps"] = trainer.schedule().steps();
  return settings;
}

/// What the checkpoints of the run hold besides, so that it can be resumed.
Metadata run_metadata(const TrainOptions& options, const Dataset& dataset, const Trainer& trainer) {
  return {{"bntrain.config", one_line(run_settings(options, trainer))},
          {"bntrain.data", content_digest(dataset)},
          {"bntrain.variant", trainer.variant()}};
}

void check_same_data(const TrainOptions& options, const Dataset& dataset) {
  const auto stored = options.stored->metadata.find("bntrain.data");
  if (stored != options.stored->metadata.end() && stored->second == content_digest(dataset)) return;
  throw Error(ErrorKind::data, "resume",
              "the images of " + dataset.source + " (" + dataset.name + ") are not those that the run in " +
                  options.resume + " was trained on");
}

void log_resumed(const TrainOptions& options, const Trainer& trainer) {
  const CheckpointFile& stored = *options.stored;
  const TrainProgress& progress = stored.checkpoint.progress;
  if (progress.steps == trainer.total_steps()) {
    spdlog::info("the run in {} finished after {} steps; a larger --epochs continues it", options.resume,
                 progress.steps);
  } else {
    spdlog::info("{} continues after {} steps, {} of them in epoch {}", options.resume, progress.steps,
                 progress.measured.size(), progress.epochs.size());
  }
  const auto variant = stored.metadata.find("bntrain.variant");
  if (variant != stored.metadata.end() && variant->second != trainer.variant()) {
    spdlog::warn(
        "the run was trained on {} and continues on {}: the bits will differ from an uninterrupted run's",
        variant->second, trainer.variant());
  }
}

Trainer make_trainer(const TrainOptions& options, const Dataset& dataset, Backend& backend,
                     std::vector<std::string>& notes) {
  const TrainConfig& config = options.config;
  if (options.stored) {
    check_same_data(options, dataset);
    return {config, dataset, backend, options.stored->checkpoint};
  }
  if (options.init_from.empty()) return {config, dataset, backend};
  const Network network =
      Network::parse(config.network, dataset.train.shape, dataset.classes, config.norm, config.normalization);
  return {config, dataset, backend,
          read_initial_values(options.init_from, network, config.batch_norm, notes)};
}

std::unique_ptr<RunFolder> make_run_folder(const TrainOptions& options, const Dataset& dataset,
                                           const Trainer& trainer) {
  if (options.out.empty()) return nullptr;
  auto folder = std::make_unique<RunFolder>(options, described_model(options, trainer),
                                            run_metadata(options, dataset, trainer));
  if (options.config.valid == 0) {
    spdlog::info(
        "no best.safetensors is written: without --valid there is no validation accuracy to select by");
  }
  folder->begin(trainer);
  return folder;
}

Error divergence_error(const Divergence& divergence) {
  return {ErrorKind::diverged,
          fmt::format("training diverged: non-finite loss in epoch {} at step {} with a learning rate of "
                      "{:.6g}; {}; try a smaller --lr",
                      divergence.epoch, divergence.step, divergence.lr,
                      divergence.layer.empty() ? "all layers are finite"
                                               : "first non-finite layer: " + divergence.layer)};
}

void check_gate(const TrainOptions& options, const TrainResult& result) {
  if (!options.assert_accuracy) return;
  if (result.epochs.empty()) throw Error(ErrorKind::gate, "assert-acc", "no epoch was trained");
  const double accuracy =
      result.final_test.count > 0 ? result.final_test.accuracy : result.epochs.back().test.accuracy;
  if (accuracy >= *options.assert_accuracy) return;
  throw Error(ErrorKind::gate, "assert-acc",
              fmt::format("the last test accuracy is {:.6f}, below {}", accuracy, *options.assert_accuracy));
}

int finish(const TrainOptions& options, const TrainResult& result, int signal) {
  switch (result.end) {
    case TrainEnd::diverged:
      throw divergence_error(*result.divergence);
    case TrainEnd::interrupted:
      spdlog::warn("interrupted after {} steps{}", result.steps,
                   options.out.empty() ? "" : "; --resume " + options.out + " continues from there");
      return 128 + signal;
    case TrainEnd::finished:
      break;
  }
  if (result.out_of_patience) {
    spdlog::info("the validation accuracy did not improve for {} epochs: --patience ends the run",
                 options.config.patience);
  }
  check_gate(options, result);
  return 0;
}

void add_training(CLI::App& app, TrainOptions& options) {
  TrainConfig& config = options.config;
  add_number(app, "--lr", config.optimizer.lr, learning_rates, "learning rate");
  add_workload(app, options.data, options.classes, config);
  add_norm(app, config);
  add_normalization(
      app, config.normalization,
      "train on (pixel / 255 - MEAN) / STD, one value or one a channel; the model's file says so; "
      "default: pixel / 255");
  add_choice(app, "--init", config.init, init_names, "initial values");
  add_experiment(app, config);
  add_schedule(app, config.schedule);
  add_validation(app, config);
}

void add_files(CLI::App& app, TrainOptions& options) {
  TrainConfig& config = options.config;
  add_run(app, options);
  add_text(app, "--init-from", options.init_from, "FILE.safetensors",
           "initial values from a file instead of --init");
  add_text(app, "--save", options.save, "FILE.safetensors",
           "save the model at the end, with PyTorch's tensor names");
  add_text(app, "--save-gradients", options.save_gradients, "FILE.safetensors",
           "write the gradients of the last step");
  add_text(app, "--metrics", options.metrics, "FILE.jsonl", "write configuration, versions and every epoch");
  add_log_every(app, config,
                "write the loss of every step to --metrics, N steps at a time; 0: do not write them");
  add_eval_every(
      app, config,
      "also evaluate every N steps, for --metrics; does not affect training; 0: only after epochs");
  add_record(app, config.record, "--metrics");
}

void add_results(CLI::App& app, TrainOptions& options) {
  const auto take_accuracy = [&options](const std::string& text) {
    options.assert_accuracy = parse_number("--assert-acc", text, {0, 1});
  };
  add_value(app, "--assert-acc", "X", "", "exit code 5 if the last test accuracy is below X", take_accuracy);
  add_switch(app, "--summary", options.summary, "print the layers and end");
  add_output(app, options.json, "JSON objects, one a line, instead of text on stdout", options.log);
}

int run(TrainOptions& options, const Sources& sources) {
  const TrainConfig& config = options.config;
  adjust_logging(options.log);
  check_run_options(options, sources);
  check_output_files(options);
  std::string note;
  // A GPU takes tenths of a second to start: beside reading the images.
  std::future<std::unique_ptr<Backend>> starting;
  if (!options.summary)
    starting = std::async(std::launch::async, [&] { return make_backend(options.backend, note); });
  const Dataset dataset = load_training_data(options);
  if (options.summary) {
    const Network network = Network::parse(config.network, dataset.train.shape, dataset.classes, config.norm,
                                           config.normalization);
    print_result(layer_table(network, config.batch_size));
    return 0;
  }

  const std::unique_ptr<Backend> backend = starting.get();
  if (!note.empty()) spdlog::info("{}", note);
  if (options.assert_accuracy && dataset.test.count == 0)
    throw Error(ErrorKind::usage, "assert-acc", "it needs a test set, and " + dataset.source + " has none");
  std::vector<std::string> notes;
  Trainer trainer = make_trainer(options, dataset, *backend, notes);
  if (!options.save_gradients.empty() && trainer.total_steps() == 0) {
    throw Error(ErrorKind::usage, "save-gradients", "it needs a training step; --epochs is 0");
  }
  log_dataset(dataset);
  for (const std::string& line : notes) spdlog::info("{}", line);
  spdlog::info("{}", backend->description());
  spdlog::info("network {}\n{}", trainer.network().text(), layer_table(trainer.network(), config.batch_size));

  if (config.valid > 0) {
    spdlog::info("{} of the training images are held out for validation{}", trainer.data().test.count,
                 dataset.test.count > 0 ? "" : "; there is no test set, so none is evaluated at the end");
  }
  if (options.stored) log_resumed(options, trainer);

  const auto folder = make_run_folder(options, dataset, trainer);
  TrainReport report(options, trainer,
                     start_record(run_settings(options, trainer), dataset, trainer, backend->description()),
                     folder.get());
  const InterruptGuard interrupt;
  const TrainResult result = trainer.run(report, interrupt.requested());
  if (const std::string line = trainer.report(); !line.empty()) spdlog::info("{}", line);
  save_files(options, trainer);
  report.on_end(result);
  return finish(options, result, interrupt.signal());
}

CLI::App& bind_flags(CLI::App& app, TrainOptions& options) {
  CLI::App& train = add_command(app, "train", "train a network (the default command)");
  in_group(train, "Experiment", [&] { add_training(train, options); });
  in_group(train, "Machine", [&] { add_machine(train, options.backend); });
  in_group(train, "Files", [&] { add_files(train, options); });
  in_group(train, "Output", [&] { add_results(train, options); });
  set_footer(
      train,
      {sources_note(train),
       "Exit codes: 0 done, 1 failure, 2 usage, 3 bad data or file, 4 diverged, 5 --assert-acc missed,",
       "130 Ctrl-C."});
  return train;
}

}  // namespace

Run add_train(CLI::App& app) {
  const auto options = std::make_shared<TrainOptions>();
  CLI::App& train = bind_flags(app, *options);
  return [&train, options](const Sources& sources) {
    if (!options->resume.empty()) resume_options(train, *options, sources);
    return run(*options, sources);
  };
}

}  // namespace bntrain::cli
