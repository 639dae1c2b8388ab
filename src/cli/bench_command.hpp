// bntrain bench: batch norm against none, over learning rates, initial values and seeds.
#pragma once

#include <string>

#include "bench/grid.hpp"
#include "cli/app_fwd.hpp"
#include "cli/logging.hpp"

namespace bntrain::cli {

struct BenchOptions {
  bench::BenchConfig config;
  std::string out = "bntrain-bench";  ///< the folder of the bench
  int jobs = 0;                       ///< runs at the same time; 0: as many as pays
  bool report = false;                ///< make report.html too
  bool json = false;                  ///< results.json instead of the table on stdout
  LogOptions log;
};

void setup_bench(CLI::App& app, BenchOptions& options);

/// Returns the exit code; throws Error.
int run_bench(const BenchOptions& options);

}  // namespace bntrain::cli
