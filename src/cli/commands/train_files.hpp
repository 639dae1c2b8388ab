// The files that bntrain train writes when it ends.
#pragma once

#include <string>

#include "bntrain/train.hpp"
#include "cli/flags/train_options.hpp"

namespace bntrain::cli {

/// Throws Error unless all that the run will write can be written, each to a file of its own.
void check_output_files(const TrainOptions& options);

/// In the metadata of models and in the record of the start: the tensors that --init-from did not give.
inline constexpr const char* anew_key = "init-anew";

/// The model as its files describe it. `anew` names the tensors that --init-from did not give, with commas.
Model described_model(const TrainOptions& options, const Trainer& trainer, const std::string& anew);

/// Writes --save and --save-gradients, what diverged beside the files that are named. Returns what could not
/// be written there and where it is now; "" when all is well.
std::string save_files(const TrainOptions& options, const Trainer& trainer, TrainEnd end,
                       const std::string& anew);

}  // namespace bntrain::cli
