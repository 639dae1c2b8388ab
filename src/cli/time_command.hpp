// bntrain time: where the time of a training step goes.
#pragma once

#include "bntrain/config.hpp"
#include "cli/app_fwd.hpp"
#include "cli/logging.hpp"

namespace bntrain::cli {

struct TimeOptions {
  TrainConfig config;    ///< the workload and the machine; the rest keeps its defaults
  int repetitions = 20;  ///< timed runs of every part
  bool json = false;     ///< one JSON object instead of the table on stdout
  LogOptions log;
};

void setup_time(CLI::App& app, TimeOptions& options);

/// Returns the exit code; throws Error.
int run_time(const TimeOptions& options);

}  // namespace bntrain::cli
