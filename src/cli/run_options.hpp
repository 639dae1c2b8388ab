// The flags of a run's folder and of its validation images.
#pragma once

#include "cli/app_fwd.hpp"
#include "cli/train_command.hpp"

namespace bntrain::cli {

/// --valid, --patience.
void add_validation(CLI::App& app, TrainConfig& config);

/// --out, --resume, --save-every, --keep.
void add_run(CLI::App& app, TrainOptions& options);

/// Throws Error(usage) for one of these flags without the one that it needs.
void check_run_options(const TrainConfig& config);

}  // namespace bntrain::cli
