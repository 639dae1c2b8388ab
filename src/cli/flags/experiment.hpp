// The flags of an experiment, for every command that trains.
#pragma once

#include <functional>
#include <string>

#include "bntrain/train.hpp"
#include "cli/flags/sources.hpp"
#include "cli/flags/train_options.hpp"
#include "cli/flags/values.hpp"
#include "network/batch_norm_convention.hpp"

namespace bntrain::cli {

/// What --lr takes; the kernels compute in float32.
inline constexpr NumberRange learning_rates{0, 1e38};
/// What --bn-eps takes.
inline constexpr NumberRange bn_eps_range{1e-30, 1e6};

/// Everything of an experiment but what a bench compares: --epochs, --bn-momentum, --bn-eps, --bn-variance,
/// --bn-convention, --momentum, --weight-decay, --seed, --shuffle, --steps.
void add_experiment(CLI::App& app, TrainConfig& config);

/// --schedule, --warmup, --schedule-steps.
void add_schedule(CLI::App& app, ScheduleOptions& schedule);

/// --bn-convention, whose value `take` receives.
CLI::Option* add_convention(CLI::App& app, const std::string& help,
                            std::function<void(const BatchNormConvention&)> take);

/// --eval-every and --log-every, whose records go to other places.
void add_eval_every(CLI::App& app, TrainConfig& config, const std::string& help);
void add_log_every(CLI::App& app, TrainConfig& config, const std::string& help);

/// Binds --record to a list of bn and activations. `where` they are written, for the help.
void add_record(CLI::App& app, RecordOptions& record, const std::string& where);

/// --valid, --patience.
void add_validation(CLI::App& app, TrainConfig& config);

/// --out, --resume, --save-every, --keep, --no-report.
void add_run(CLI::App& app, TrainOptions& options);

/// Throws Error(usage) for one of these flags without the one that it needs. What only files and variables
/// say of checkpoints is ignored in a run that makes none.
void check_run_options(const TrainOptions& options, const Sources& sources);

}  // namespace bntrain::cli
