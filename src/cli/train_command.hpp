// bntrain train: the training run.
#pragma once

#include <optional>
#include <string>

#include "bntrain/checkpoint_file.hpp"
#include "bntrain/config.hpp"
#include "cli/app_fwd.hpp"
#include "cli/logging.hpp"

namespace bntrain::cli {

struct TrainOptions {
  TrainConfig config;
  std::string resume;                     ///< folder of the run to go on with; "" begins one
  std::optional<CheckpointFile> stored;   ///< its last checkpoint
  std::optional<double> assert_accuracy;  ///< the last test accuracy must reach this
  bool summary = false;                   ///< print the layers and end
  bool json = false;                      ///< JSON objects instead of text lines on stdout
  LogOptions log;
};

/// Adds the sub-command to `app`, its flags bound to `options`.
void setup_train(CLI::App& app, TrainOptions& options);

/// Returns the exit code; throws Error.
int run_train(const TrainOptions& options);

}  // namespace bntrain::cli
