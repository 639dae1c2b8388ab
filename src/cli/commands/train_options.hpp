// The options of bntrain train.
#pragma once

#include <optional>
#include <string>

#include "bntrain/checkpoint.hpp"
#include "bntrain/config.hpp"
#include "cli/reports/output.hpp"

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

}  // namespace bntrain::cli
