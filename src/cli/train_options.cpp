// The flags of bntrain train. Every default is the reference experiment's value.
#include "cli/experiment_options.hpp"
#include "cli/logging.hpp"
#include "cli/option_values.hpp"
#include "cli/record_option.hpp"
#include "cli/run_options.hpp"
#include "cli/train_command.hpp"
#include "cli/workload_options.hpp"

namespace bntrain::cli {
namespace {

void add_training(CLI::App& app, TrainConfig& config) {
  add_number(app, "--lr", config.lr, learning_rates, "learning rate");
  add_workload(app, config);
  add_norm(app, config);
  add_choice<Init>(app, "--init", config.init, init_choices(), "initial values");
  add_experiment(app, config);
  add_validation(app, config);
}

void add_files(CLI::App& app, TrainOptions& options) {
  TrainConfig& config = options.config;
  add_run(app, options);
  add_text(app, "--init-from", config.init_from, "FILE.safetensors",
           "initial values from a file instead of --init");
  add_text(app, "--save", config.save, "FILE.safetensors",
           "write the model at the end, with PyTorch's names");
  add_text(app, "--save-gradients", config.save_gradients, "FILE.safetensors",
           "write the gradients of the last step");
  add_text(app, "--metrics", config.metrics, "FILE.jsonl", "write configuration, versions and every epoch");
  add_log_every(app, config,
                "look at the losses every N steps and write each step's to --metrics; 0: do not write them");
  add_eval_every(
      app, config,
      "look at the test set every N steps too, for --metrics; changes no weight; 0: only after epochs");
  add_record(app, config.record, "--metrics");
}

void add_output(CLI::App& app, TrainOptions& options) {
  const auto take_accuracy = [&options](const std::string& text) {
    options.assert_accuracy = parse_number("--assert-acc", text, {0, 1});
  };
  add_value(app, "--assert-acc", "X", "", "exit code 5 if the last test accuracy is below X", take_accuracy);
  add_switch(app, "--summary", options.summary, "print the layers and end");
  add_switch(app, "--json", options.json, "JSON objects, one a line, instead of text on stdout");
  add_log_options(app, options.log);
}

}  // namespace

void setup_train(CLI::App& app, TrainOptions& options) {
  CLI::App& train = add_command(app, "train", "train a network (the default command)");
  in_group(train, "Experiment", [&] { add_training(train, options.config); });
  in_group(train, "Machine", [&] { add_machine(train, options.config.backend); });
  in_group(train, "Files", [&] { add_files(train, options); });
  in_group(train, "Output", [&] { add_output(train, options); });
  set_footer(
      train,
      {sources_note(train),
       "Exit codes: 0 done, 1 failure, 2 usage, 3 bad data or file, 4 diverged, 5 --assert-acc missed,",
       "130 Ctrl-C."});
}

}  // namespace bntrain::cli
