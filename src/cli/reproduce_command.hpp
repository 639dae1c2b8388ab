// bntrain reproduce: published experiments against what was recorded.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bntrain/backend.hpp"
#include "cli/app_fwd.hpp"
#include "cli/logging.hpp"

namespace bntrain::cli {

struct ReproduceOptions {
  std::vector<std::string> names;  ///< of experiments; none: all
  bool list = false;               ///< print what there is and end
  std::int64_t seeds = 5;          ///< runs of each arm, with seeds from 0 on
  std::string data;                ///< see load_dataset()
  BackendOptions backend;
  int jobs = 0;     ///< runs at the same time; 0: as many as pays
  std::string out;  ///< folder for the records of the runs; "" = none
  bool json = false;
  LogOptions log;
};

void setup_reproduce(CLI::App& app, ReproduceOptions& options);

/// Returns the exit code; throws Error, of kind gate when an experiment was not reproduced.
int run_reproduce(const ReproduceOptions& options);

}  // namespace bntrain::cli
