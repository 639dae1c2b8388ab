#include "cli/experiment_options.hpp"

#include <limits>

#include "cli/convention_options.hpp"
#include "cli/option_values.hpp"
#include "cli/workload_options.hpp"

namespace bntrain::cli {
namespace {

// Beyond these no run would end; they keep products such as epochs * steps within 64 bits.
constexpr std::uint64_t most_epochs = 1'000'000;
constexpr std::uint64_t most_steps = 1'000'000'000'000;

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

}  // namespace

Choices<Norm> norm_choices() {
  return {{"batch", Norm::batch}, {"none", Norm::none}};
}

Choices<Init> init_choices() {
  return {{"tutorial", Init::tutorial},
          {"gluon", Init::gluon},
          {"torch", Init::torch},
          {"he", Init::he},
          {"xavier", Init::xavier}};
}

void add_experiment(CLI::App& app, TrainConfig& config) {
  add_integer(app, "--epochs", config.epochs, {0, most_epochs}, "passes over the training images");
  add_batch_norm(app, config.batch_norm);
  add_number(app, "--momentum", config.momentum, {0, 1, false, true}, "of SGD, as torch.optim.SGD");
  add_number(app, "--weight-decay", config.weight_decay, {0, learning_rates.most},
             "of SGD, as torch.optim.SGD");
  add_integer(app, "--seed", config.seed, {0, std::numeric_limits<std::uint64_t>::max()},
              "of initial values and data order");
  add_choice<bool>(app, "--shuffle", config.shuffle, {{"on", true}, {"none", false}},
                   "new order of the images in each epoch");
  add_integer(app, "--steps", config.steps, {0, most_steps},
              "end after N steps whatever --epochs says; 0: --epochs");
}

void add_eval_every(CLI::App& app, TrainConfig& config, const std::string& help) {
  add_integer(app, "--eval-every", config.eval_every, {0, most_steps}, help);
}

void add_log_every(CLI::App& app, TrainConfig& config, const std::string& help) {
  add_integer(app, "--log-every", config.log_every, {0, most_steps}, help);
}

}  // namespace bntrain::cli
