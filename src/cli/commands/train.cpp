// bntrain train: the training run.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "bntrain/backend.hpp"
#include "bntrain/error.hpp"
#include "bntrain/model_file.hpp"
#include "bntrain/train.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/initial_values.hpp"
#include "cli/commands/inputs.hpp"
#include "cli/commands/interrupt.hpp"
#include "cli/commands/train_files.hpp"
#include "cli/flags/experiment.hpp"
#include "cli/flags/paths.hpp"
#include "cli/flags/resume.hpp"
#include "cli/flags/values.hpp"
#include "cli/flags/workload.hpp"
#include "cli/reports/live_page.hpp"
#include "cli/reports/output.hpp"
#include "cli/reports/run_folder.hpp"
#include "cli/reports/tables.hpp"
#include "cli/reports/train_report.hpp"
#include "core/machine_limits.hpp"
#include "network/batch_norm_convention.hpp"
#include "report/page.hpp"
#include "report/run_words.hpp"

namespace bntrain::cli {
namespace {

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
          {"bntrain.changes", one_line(options.changes)},
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
    spdlog::info("the run in {} finished after {} steps; a larger --{} continues it", options.resume,
                 progress.steps, options.config.steps > 0 ? "steps" : "epochs");
  } else {
    spdlog::info("{} continues after {} steps, {} of them in epoch {}", options.resume, progress.steps,
                 progress.measured.size(), progress.epochs.count);
  }
  const auto variant = stored.metadata.find("bntrain.variant");
  if (variant != stored.metadata.end() && variant->second != trainer.variant()) {
    spdlog::warn(
        "the run was trained on {} and continues on {}: the bits will differ from an uninterrupted run's",
        variant->second, trainer.variant());
  }
}

/// `anew` receives the names of the tensors that --init-from does not give, with commas.
Trainer make_trainer(const TrainOptions& options, const Dataset& dataset, Backend& backend,
                     std::string& anew) {
  const TrainConfig& config = options.config;
  if (options.stored) {
    check_same_data(options, dataset);
    const auto& metadata = options.stored->metadata;
    if (const auto found = metadata.find(anew_key); found != metadata.end()) anew = found->second;
    return {config, dataset, backend, options.stored->checkpoint};
  }
  if (options.init_from.empty()) return {config, dataset, backend};
  const Network network =
      Network::parse(config.network, dataset.train.shape, dataset.classes, config.norm, config.normalization);
  const InitialValues initial =
      with_setting("init_from", [&] { return read_initial_values(options, network); });
  log_remarks(initial.remarks);
  for (const std::string& name : initial.anew) anew += (anew.empty() ? "" : ",") + name;
  return {config, dataset, backend, initial.state};
}

std::unique_ptr<RunFolder> make_run_folder(const TrainOptions& options, const Dataset& dataset,
                                           const Trainer& trainer, const std::string& anew) {
  if (options.out.empty()) return nullptr;
  auto folder = std::make_unique<RunFolder>(options, described_model(options, trainer, anew),
                                            run_metadata(options, dataset, trainer));
  if (options.config.valid == 0) {
    spdlog::info(
        "no best.safetensors is written: without --valid there is no validation accuracy to select by");
  }
  folder->begin(trainer);
  return folder;
}

Error divergence_error(const TrainOptions& options, const Divergence& divergence) {
  return {ErrorKind::diverged,
          fmt::format("training diverged: non-finite loss in epoch {} at step {} with a learning rate of "
                      "{:.6g}; {}; try a smaller --lr{}",
                      divergence.epoch, divergence.step, divergence.lr,
                      divergence.layer.empty() ? "all layers are finite in training"
                                               : "first non-finite layer: " + divergence.layer,
                      options.out.empty() ? ""
                                          : "; --resume " + options.out +
                                                " --lr X goes on from the last checkpoint with it")};
}

void check_gate(const TrainOptions& options, const TrainResult& result) {
  if (!options.assert_accuracy) return;
  if (!result.history.last) throw Error(ErrorKind::gate, "assert-acc", "no epoch was trained");
  const double accuracy =
      result.final_test.count > 0 ? result.final_test.accuracy : result.history.last->test.accuracy;
  if (accuracy >= *options.assert_accuracy) return;
  throw Error(ErrorKind::gate, "assert-acc",
              fmt::format("the last test accuracy is {:.6f}, below {}", accuracy, *options.assert_accuracy));
}

/// Said before anybody closes the terminal: where the run is, or that its model is gone.
void log_kept(const TrainOptions& options, const TrainResult& result) {
  const std::string page = options.out + "/" + page_name;
  if (!options.out.empty() && !options.no_report && result.steps > 0 && report::is_page(page))
    spdlog::info("the report of the run: xdg-open {}", report::shell_word(page));
  if (result.end != TrainEnd::finished || result.steps == 0) return;
  if (!options.out.empty()) spdlog::info("the run is kept in {}", options.out);
  if (options.out.empty() && options.save.empty())
    spdlog::info(
        "the model is not kept; --out RUN keeps a run with a page that shows it, and --save FILE.safetensors "
        "the "
        "model alone");
}

int finish(const TrainOptions& options, const TrainResult& result, int signal) {
  log_kept(options, result);
  switch (result.end) {
    case TrainEnd::diverged:
      throw divergence_error(options, *result.divergence);
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
  add_path(
      app, "--init-from", options.init_from, "FILE.safetensors",
      "initial values from a file (or a run's folder) instead of --init; a last layer with another number "
      "of outputs begins anew");
  add_names(app, "--init-skip", options.init_skip, "LAYER,...",
            "layers, by the names of their tensors such as 9 or 3.body, that --init-from does not give: they "
            "begin anew with --init and --seed; may be repeated");
  add_path(app, "--save", options.save, "FILE.safetensors",
           "save the model at the end, with PyTorch's tensor names");
  add_path(app, "--save-gradients", options.save_gradients, "FILE.safetensors",
           "write the gradients of the last step");
  add_path(app, "--metrics", options.metrics, "FILE.jsonl", "write configuration, versions and every epoch");
  add_path(
      app, "--tensorboard", options.tensorboard, "DIR",
      "write event files for TensorBoard into the folder, which is created; tensorboard --logdir DIR shows "
      "them");
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
  options.config.record.histograms = !options.tensorboard.empty();
  std::string note;
  // A GPU takes tenths of a second to start: beside reading the images, where another thread is to be had.
  std::future<std::unique_ptr<Backend>> starting;
  if (!options.summary)
    starting = std::async(std::launch::async | std::launch::deferred,
                          [&] { return make_backend(options.backend, note); });
  const Dataset dataset = load_training_data(options);
  if (options.summary) {
    const Network network = Network::parse(config.network, dataset.train.shape, dataset.classes, config.norm,
                                           config.normalization);
    print_result(layer_table(network, config.batch_size));
    const auto backend = make_backend(options.backend, note);
    print_result(
        wrapped("memory of a training step: " + memory_text(memory_bytes(config, network, *backend)) +
                " on " + backend->description()));
    return 0;
  }

  const std::unique_ptr<Backend> backend = starting.get();
  if (!note.empty()) spdlog::info("{}", note);
  if (options.assert_accuracy && dataset.test.count == 0)
    throw Error(ErrorKind::usage, "assert-acc", "it needs a test set, and " + dataset.source + " has none");
  std::string anew;
  Trainer trainer = make_trainer(options, dataset, *backend, anew);
  if (!options.save_gradients.empty() && trainer.total_steps() == 0) {
    throw Error(ErrorKind::usage, "save-gradients", "it needs a training step; --epochs is 0");
  }
  log_dataset(dataset);
  spdlog::info("{}", backend->description());
  spdlog::info("network {}\n{}", trainer.network().text(), layer_table(trainer.network(), config.batch_size));

  if (config.valid > 0) {
    spdlog::info("{} of the training images are held out for validation{}", trainer.data().test.count,
                 dataset.test.count > 0 ? "" : "; there is no test set, so none is evaluated at the end");
  }
  if (options.stored) log_resumed(options, trainer);

  const auto folder = make_run_folder(options, dataset, trainer, anew);
  Json start = start_record(run_settings(options, trainer), dataset, trainer, backend->description());
  if (!options.changes.empty()) start["changes"] = options.changes;
  if (!anew.empty()) start[anew_key] = anew;
  TrainReport report(options, trainer, start, folder.get());
  const InterruptGuard interrupt;
  const TrainResult result = trainer.run(report, interrupt.requested());
  // Before anything is printed: the terminal or the pipe may be what ended the run.
  const std::string unsaved_run = folder == nullptr ? "" : folder->rescue(trainer);
  std::string unsaved = save_files(options, trainer, result.end, anew);
  if (!unsaved.empty() && !unsaved_run.empty()) unsaved += "; " + unsaved_run;
  if (const std::string line = trainer.report(); !line.empty()) spdlog::info("{}", line);
  report.on_end(result);
  if (!unsaved.empty()) throw Error(ErrorKind::runtime, unsaved);
  if (!unsaved_run.empty()) throw Error(ErrorKind::data, unsaved_run);
  const int exit_code = finish(options, result, interrupt.signal());
  if (exit_code == 0) report.expect_printed();
  return exit_code;
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
       "--save is tried out before training; a model that cannot be written there at the end is written "
       "beside",
       "it or to the temporary folder. A run that diverged writes NAME.diverged.safetensors instead.",
       "Exit codes: 0 done, 1 failure, 2 usage, 3 bad data or file, 4 diverged, 5 --assert-acc missed,",
       "128 + n signal n (130 Ctrl-C), 141 the reader of stdout is gone."});
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
