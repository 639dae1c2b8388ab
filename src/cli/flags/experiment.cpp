#include "cli/flags/experiment.hpp"

#include <spdlog/spdlog.h>

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "bntrain/error.hpp"
#include "cli/flags/paths.hpp"
#include "cli/flags/values.hpp"
#include "cli/flags/workload.hpp"

namespace bntrain::cli {
namespace {

// Beyond these no run would end; they keep products such as epochs * steps within 64 bits.
constexpr std::uint64_t most_epochs = 1'000'000;
constexpr std::uint64_t most_steps = 1'000'000'000'000;

void add_batch_norm(CLI::App& app, BatchNormOptions& options) {
  const CLI::Option* momentum = add_number(app, "--bn-momentum", options.momentum, {0, 1},
                                           "weight of the OLD value in the running statistics, running_mean "
                                           "and running_var (PyTorch's momentum is "
                                           "1 minus this)");
  const CLI::Option* eps =
      add_number(app, "--bn-eps", options.eps, bn_eps_range, "added to the variance, inside the root");
  const CLI::Option* variance =
      add_choice(app, "--bn-variance", options.unbiased, {{"biased", false}, {"unbiased", true}},
                 "variance stored in running_var");
  // Whichever CLI11 takes first: what has a flag, variable or key of its own keeps it.
  add_convention(
      app,
      "momentum, eps and variance of a framework: tutorial, torch, keras, caffe or onnx; --bn-momentum, "
      "--bn-eps and --bn-variance take precedence",
      [=, &options](const BatchNormConvention& convention) {
        if (momentum->empty()) options.momentum = convention.options.momentum;
        if (eps->empty()) options.eps = convention.options.eps;
        if (variance->empty()) options.unbiased = convention.options.unbiased;
      });
}

void add_betas(CLI::App& app, OptimizerOptions& options) {
  const auto take = [&options](const std::string& text) {
    const std::size_t comma = text.find(',');
    if (comma == std::string::npos || text.find(',', comma + 1) != std::string::npos)
      throw BadValue("--betas", text, "allowed: two numbers with a comma between them");
    options.beta1 = parse_number("--betas", text.substr(0, comma), {0, 1, false, true});
    options.beta2 = parse_number("--betas", text.substr(comma + 1), {0, 1, false, true});
  };
  add_value(app, "--betas", "B1,B2", fmt::format("{},{}", options.beta1, options.beta2),
            "of adamw: weights of the old value in the moments of the gradient", take);
}

void add_optimizer(CLI::App& app, OptimizerOptions& options) {
  const CLI::Option* decay = add_number(app, "--weight-decay", options.weight_decay, {0, learning_rates.most},
                                        "as torch.optim; adamw: 0.01 where it is not given");
  const auto take = [&options, &app, decay](const std::string& text) {
    options.kind = parse_choice<OptimizerKind>("--optimizer", text, optimizer_names);
    if (options.kind != OptimizerKind::adamw) return;
    if (const CLI::Option* lr = app.get_option_no_throw("--lr"); lr != nullptr && lr->empty())
      options.lr = 1e-3;
    if (decay->empty()) options.weight_decay = 0.01;
  };
  add_value(app, "--optimizer", "sgd|adamw", "sgd",
            "torch.optim.SGD or torch.optim.AdamW, with its defaults: weight decay 0.01, and for one run a "
            "learning rate of 1e-3",
            take);
  add_number(app, "--momentum", options.momentum, {0, 1, false, true}, "of sgd");
  add_switch(app, "--nesterov", options.nesterov, "Nesterov's momentum");
  add_betas(app, options);
  add_number(app, "--adam-eps", options.eps, {0, 1e6, true, false},
             "of adamw: added to the root of the second moment");
  add_choice(app, "--decay", options.decay_weights_only, {{"all", false}, {"weights", true}},
             "what weight decay acts on: all parameters, or the weights of conv and fc alone");
}

void expect(bool needed_is_there, const std::string& flag, const std::string& needed) {
  if (!needed_is_there) throw Error(ErrorKind::usage, flag, "it needs " + needed);
}

}  // namespace

void add_experiment(CLI::App& app, TrainConfig& config) {
  add_integer(app, "--epochs", config.epochs, {0, most_epochs}, "passes over the training images");
  add_batch_norm(app, config.batch_norm);
  add_optimizer(app, config.optimizer);
  add_integer(app, "--seed", config.seed, {0, std::numeric_limits<std::uint64_t>::max()},
              "of initial values and data order");
  add_choice(app, "--shuffle", config.shuffle, {{"on", true}, {"none", false}},
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

CLI::Option* add_convention(CLI::App& app, const std::string& help,
                            std::function<void(const BatchNormConvention&)> take) {
  const std::string flag = "--bn-convention";
  return add_value(app, flag, "NAME", "", help, [flag, take = std::move(take)](const std::string& text) {
    std::vector<std::string> names;
    for (const BatchNormConvention& convention : batch_norm_conventions()) {
      if (convention.name == text) return take(convention);
      names.push_back(convention.name);
    }
    throw BadValue(flag, text, "allowed: " + list_names(names, "or"));
  });
}

void add_record(CLI::App& app, RecordOptions& record, const std::string& where) {
  const auto take = [&record](const std::string& text) {
    static constexpr Named<bool RecordOptions::*> names[] = {{"bn", &RecordOptions::norms},
                                                             {"activations", &RecordOptions::activations}};
    record = {};
    for (const auto member : parse_choices<bool RecordOptions::*>(
             "--record", text, names, "allowed: bn, activations or bn,activations"))
      record.*member = true;
  };
  add_value(
      app, "--record", "bn,activations", to_string(record),
      "also write to " + where +
          ", every --log-every steps (0: 50), statistics of the inputs of batch norms (bn) and activation "
          "layers (activations); does not affect training",
      take);
}

void add_schedule(CLI::App& app, ScheduleOptions& schedule) {
  const auto take = [&schedule](const std::string& text) {
    try {
      check_schedule(text);
    } catch (const Error& error) {
      throw BadValue("--schedule", text, error.message());
    }
    schedule.text = text;
  };
  add_value(app, "--schedule", "NAME[:...]", schedule.text,
            "of the learning rate, by step: constant, step:EPOCHS:GAMMA, cosine[:MIN], onecycle, "
            "linear:STEP=FACTOR,...; as PyTorch's schedulers, with --lr as the peak",
            take);
  add_integer(app, "--warmup", schedule.warmup, {0, most_steps},
              "steps in which the learning rate rises linearly");
  add_integer(app, "--schedule-steps", schedule.steps, {0, most_steps},
              "how many steps the schedule takes; 0: as many as the run");
}

void add_validation(CLI::App& app, TrainConfig& config) {
  add_number(
      app, "--valid", config.valid, {0, 1, false, true},
      "fraction of the training images that is held out for validation: every evaluation uses them, and the "
      "test set is evaluated once, at the end, with the weights that were best on them");
  add_integer(app, "--patience", config.patience, {0, most_steps},
              "stop after N epochs without improvement of the validation accuracy; 0: never");
}

void add_run(CLI::App& app, TrainOptions& options) {
  add_path(app, "--out", options.out, "RUN",
           "folder for checkpoints, metrics and configuration of the run; it is created");
  add_path(app, "--resume", options.resume, "RUN",
           "continue the run in that folder with its settings, as if it had never been interrupted; "
           "--epochs, --lr "
           "and what docs/checkpoints.md names may be given again");
  add_integer(app, "--save-every", options.config.save_every, {0, most_steps},
              "write a checkpoint every N steps too; 0: only after epochs");
  add_integer(app, "--keep", options.keep, {0, most_steps},
              "keep the last N checkpoints under numbered names too");
  add_switch(app, "--no-report", options.no_report,
             "do not write RUN/report.html, the page that shows the run");
}

void check_run_options(const TrainOptions& options, const Sources& sources) {
  const TrainConfig& config = options.config;
  for (const auto& [flag, value] : {std::pair("save-every", config.save_every), {"keep", options.keep}}) {
    if (value == 0 || !options.out.empty()) continue;
    // A file or a variable says how checkpoints are made where they are; a flag asks for them.
    expect(sources.of(flag) != Source::command_line, flag, "--out RUN, where checkpoints go");
    spdlog::info("{} {} has no effect without --out RUN, where checkpoints go{}", flag, value,
                 sources.note(flag));
  }
  const bool has_records = !options.out.empty() || !options.metrics.empty() || !options.tensorboard.empty();
  for (const auto& [flag, value] :
       {std::pair("log-every", config.log_every), {"eval-every", config.eval_every}}) {
    if (value == 0 || has_records) continue;
    spdlog::log(sources.of(flag) == Source::command_line ? spdlog::level::warn : spdlog::level::info,
                "{} {} has no effect without --metrics FILE.jsonl, --out RUN or --tensorboard DIR, where its "
                "records go{}",
                flag, value, sources.note(flag));
  }
  const OptimizerOptions& optimizer = config.optimizer;
  const bool sgd = optimizer.kind == OptimizerKind::sgd;
  expect(sgd || optimizer.momentum == 0, "momentum", "--optimizer sgd; the momentum of adamw is --betas");
  expect(!optimizer.nesterov || (sgd && optimizer.momentum > 0), "nesterov",
         "--optimizer sgd and a --momentum above 0");
  const OptimizerOptions defaults;
  expect(!sgd || (optimizer.beta1 == defaults.beta1 && optimizer.beta2 == defaults.beta2), "betas",
         "--optimizer adamw");
  expect(!sgd || optimizer.eps == defaults.eps, "adam-eps", "--optimizer adamw");
  expect(options.init_skip.empty() || !options.init_from.empty(), "init-skip",
         "--init-from FILE, whose other tensors are taken");
  expect(config.patience == 0 || config.valid > 0, "patience",
         "--valid FRACTION: it counts epochs without a better validation accuracy");
}

}  // namespace bntrain::cli
