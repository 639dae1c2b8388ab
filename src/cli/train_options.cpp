// The flags of bntrain train. Every default is the reference experiment's value.
#include "cli/experiment_options.hpp"
#include "cli/option_values.hpp"
#include "cli/record_option.hpp"
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
}

void add_files(CLI::App& app, TrainConfig& config) {
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
  add_switch(app, "--quiet", options.quiet, "only warnings and errors on stderr");
  add_switch(app, "--no-color", options.no_color, "no colours on stderr, as NO_COLOR does");
}

}  // namespace

void setup_train(CLI::App& app, TrainOptions& options) {
  CLI::App& train = *app.add_subcommand("train", "train a network (the default command)");
  train.fallthrough();  // so that --config may stand behind the command
  const auto grouped = [&train](const std::string& group, const auto& add) {
    train.option_defaults()->group(group);
    add();
  };
  grouped("Experiment", [&] { add_training(train, options.config); });
  grouped("Machine", [&] { add_machine(train, options.config.backend); });
  grouped("Files", [&] { add_files(train, options.config); });
  grouped("Output", [&] { add_output(train, options); });
  train.footer(
      "Each flag can also be an environment variable (BNTRAIN_BATCH_SIZE for --batch-size) or a key of the "
      "[train]\n"
      "section in the file that --config names. Environment < file < flag.\n"
      "Exit codes: 0 done, 1 failure, 2 usage, 3 bad data or file, 4 diverged, 5 --assert-acc missed, 130 "
      "Ctrl-C.");
}

}  // namespace bntrain::cli
