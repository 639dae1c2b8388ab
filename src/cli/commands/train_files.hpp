// The files that bntrain train writes when it ends.
#pragma once

#include <string>

#include "bntrain/train.hpp"
#include "cli/flags/train_options.hpp"

namespace bntrain::cli {

/// Throws Error unless all that the run will write can be written, each to a file of its own.
void check_output_files(const TrainOptions& options);

/// The model as its files describe it.
Model described_model(const TrainOptions& options, const Trainer& trainer);

/// Writes --save and --save-gradients, what diverged beside the files that are named. Returns what could not
/// be written there and where it is now; "" when all is well.
std::string save_files(const TrainOptions& options, const Trainer& trainer, TrainEnd end);

}  // namespace bntrain::cli
