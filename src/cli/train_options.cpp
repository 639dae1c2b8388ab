// The flags of bntrain train. Every default is the reference experiment's value.
#include <limits>

#include "cli/convention_options.hpp"
#include "cli/option_values.hpp"
#include "cli/train_command.hpp"
#include "cli/workload_options.hpp"

namespace bntrain::cli {
namespace {

// Beyond these no run would end; they keep products such as epochs * steps within 64 bits.
constexpr std::uint64_t most_epochs = 1'000'000;
constexpr std::uint64_t most_steps = 1'000'000'000'000;
constexpr double most_float = 1e38;  // the kernels compute in float32

void add_batch_norm(CLI::App& app, BatchNormOptions& options) {
  const CLI::Option* momentum = add_number(
      app, "--bn-momentum", options.momentum, {0, 1},
      "weight of the OLD value in running_mean and running_var, the moving averages (PyTorch's momentum is 1 "
      "minus this)");
  const CLI::Option* eps =
      add_number(app, "--bn-eps", options.eps, bn_eps_range, "added to the variance, inside the root");
  const CLI::Option* variance =
      add_choice<bool>(app, "--bn-variance", options.unbiased, {{"biased", false}, {"unbiased", true}},
                       "variance stored in running_var");
  // Whichever CLI11 takes first: what has a flag, variable or key of its own keeps it.
  add_convention(
      app,
      "the three of a framework: tutorial, torch, keras, caffe or onnx; --bn-momentum, --bn-eps and "
      "--bn-variance go before it",
      [=, &options](const BatchNormConvention& convention) {
        if (momentum->empty()) options.momentum = convention.options.momentum;
        if (eps->empty()) options.eps = convention.options.eps;
        if (variance->empty()) options.unbiased = convention.options.unbiased;
      });
}

void add_experiment(CLI::App& app, TrainConfig& config) {
  add_integer(app, "--epochs", config.epochs, {0, most_epochs}, "passes over the training images");
  add_number(app, "--lr", config.lr, {0, most_float}, "learning rate");
  add_workload(app, config);
  add_choice<Init>(
      app, "--init", config.init,
      {{"tutorial", Init::tutorial}, {"gluon", Init::gluon}, {"torch", Init::torch}, {"he", Init::he}},
      "initial values");
  add_batch_norm(app, config.batch_norm);
  add_number(app, "--momentum", config.momentum, {0, 1, false, true}, "of SGD, as torch.optim.SGD");
  add_number(app, "--weight-decay", config.weight_decay, {0, most_float}, "of SGD, as torch.optim.SGD");
  add_integer(app, "--seed", config.seed, {0, std::numeric_limits<std::uint64_t>::max()},
              "of initial values and data order");
  add_choice<bool>(app, "--shuffle", config.shuffle, {{"on", true}, {"none", false}},
                   "new order of the images in each epoch");
  add_integer(app, "--steps", config.steps, {0, most_steps},
              "end after N steps whatever --epochs says; 0: --epochs");
}

void add_files(CLI::App& app, TrainConfig& config) {
  add_text(app, "--init-from", config.init_from, "FILE.safetensors",
           "initial values from a file instead of --init");
  add_text(app, "--save", config.save, "FILE.safetensors",
           "write the model at the end, with PyTorch's names");
  add_text(app, "--save-gradients", config.save_gradients, "FILE.safetensors",
           "write the gradients of the last step");
  add_text(app, "--metrics", config.metrics, "FILE.jsonl", "write configuration, versions and every epoch");
  add_integer(app, "--log-every", config.log_every, {0, most_steps},
              "look at the losses every N steps and write each step's to --metrics; 0: do not write them");
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
  grouped("Experiment", [&] { add_experiment(train, options.config); });
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
