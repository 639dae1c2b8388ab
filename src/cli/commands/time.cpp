// bntrain time: where the time of a training step goes.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>
#include <vector>

#include "backend/executable.hpp"
#include "bntrain/error.hpp"
#include "bntrain/train.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/inputs.hpp"
#include "cli/flags/values.hpp"
#include "cli/flags/workload.hpp"
#include "cli/reports/output.hpp"
#include "cli/reports/time_report.hpp"
#include "core/random.hpp"
#include "plan/cost.hpp"

namespace bntrain::cli {
namespace {

struct TimeOptions {
  TrainConfig config;                   ///< network, norm and batch size; the rest keeps its defaults
  std::string data;                     ///< see load_dataset()
  std::optional<std::int64_t> classes;  ///< see DataNeeds
  BackendOptions backend;
  int repetitions = 20;  ///< timed runs of every part
  bool json = false;     ///< one JSON object instead of the table on stdout
  LogOptions log;
};

// Whole steps per sample: a device that only queues them is waited for once.
constexpr int steps_per_sample = 5;

// The learning rate is 0, so that every step computes with the same values.
constexpr StepParams no_change{};

/// One step, whose loss tells whether the times will be those of finite values.
void check_step(Executable& executable, BatchRange batch) {
  executable.train_step(batch, no_change);
  const std::vector<StepMetrics> metrics = executable.drain_metrics();
  BNTRAIN_EXPECTS(metrics.size() == 1 && metrics[0].count == batch.count);
  if (std::isfinite(metrics[0].loss_sum)) return;
  throw Error(ErrorKind::diverged, "the loss of the first step is not finite (" +
                                       executable.diagnostics().first_non_finite(batch) +
                                       "), and the time of such steps is meaningless; try another --network");
}

std::vector<double> time_whole_steps(Executable& executable, BatchRange batch, int samples) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> seconds;
  for (int sample = 0; sample < samples; ++sample) {
    const Clock::time_point start = Clock::now();
    for (int step = 0; step < steps_per_sample; ++step) executable.train_step(batch, no_change);
    executable.drain_metrics();
    const std::chrono::duration<double> elapsed = Clock::now() - start;
    seconds.push_back(elapsed.count() / steps_per_sample);
  }
  return seconds;
}

void bind_flags(CLI::App& app, TimeOptions& options) {
  CLI::App& time =
      add_command(app, "time",
                  "time the parts of a training step and compare them with the measured peaks of the device");
  in_group(time, "Workload", [&] {
    add_workload(time, options.data, options.classes, options.config);
    add_norm(time, options.config);
  });
  in_group(time, "Machine", [&] { add_machine(time, options.backend); });
  in_group(time, "Output", [&] {
    add_integer(time, "--repetitions", options.repetitions, {1, 100'000}, "timed runs of every part");
    add_output(time, options.json, "one JSON object instead of the table on stdout", options.log);
  });
  set_footer(time, {"Times depend on what else the machine is doing: leave it idle, and check the spread.",
                    sources_note(time)});
}

int run(const TimeOptions& options) {
  const TrainConfig& config = options.config;
  adjust_logging(options.log);
  const Dataset dataset = load_data(options.data, {.classes = options.classes});
  const auto backend = open_backend(options.backend);
  Trainer trainer(config, dataset, *backend);
  Executable& executable = trainer.executable();
  // Shuffled, so that the gather reads scattered images as in training.
  executable.set_order(epoch_order(dataset.train.count, config.seed, 0, true));
  const BatchRange batch{0, config.batch_size};
  check_step(executable, batch);

  spdlog::info("measuring {}", backend->description());
  const TimeReport report{
      .dataset = dataset.name,
      .network = trainer.network().text(),
      .batch = to_string(trainer.network().input(), config.batch_size),
      .batch_size = config.batch_size,
      .backend = backend->description(),
      .variant = executable.variant(),
      .repetitions = options.repetitions,
      .fused_blocks = std::ranges::any_of(executable.plan().ops, &PlanOp::gradient_rebuilt),
      .peaks = backend->measure_peaks(),
      .step = summarise(time_whole_steps(executable, batch, options.repetitions)),
      .parts = timed_parts(executable.diagnostics().time_ops(batch, options.repetitions),
                           plan_costs(executable.plan(), config.batch_size))};
  print_result(options.json ? one_line(time_record(report)) : time_table(report));
  return 0;
}

}  // namespace

Run add_time(CLI::App& app) {
  return command<TimeOptions>(app, bind_flags, run);
}

}  // namespace bntrain::cli
