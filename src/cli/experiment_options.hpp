// The flags of an experiment, for every command that trains.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "bntrain/config.hpp"
#include "cli/app_fwd.hpp"
#include "cli/value_ranges.hpp"

namespace bntrain::cli {

/// What --lr takes; the kernels compute in float32.
constexpr NumberRange learning_rates{0, 1e38};

template <class Value>
using Choices = std::vector<std::pair<std::string, Value>>;
Choices<Norm> norm_choices();
Choices<Init> init_choices();

/// Everything of an experiment but what a bench compares: --epochs, --bn-momentum, --bn-eps, --bn-variance,
/// --momentum,
/// --weight-decay, --seed, --shuffle, --steps.
void add_experiment(CLI::App& app, TrainConfig& config);

/// --eval-every and --log-every, whose records go to other places.
void add_eval_every(CLI::App& app, TrainConfig& config, const std::string& help);
void add_log_every(CLI::App& app, TrainConfig& config, const std::string& help);

}  // namespace bntrain::cli
