// bntrain eval: how good a model is.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bntrain/backend.hpp"
#include "bntrain/model.hpp"
#include "cli/app_fwd.hpp"
#include "cli/logging.hpp"
#include "cli/workload_options.hpp"

namespace bntrain::cli {

/// What batch norms divide by; docs/eval.md defines them.
enum class NormStatistics { running, batch, recomputed };

struct EvalOptions {
  std::string model;
  ModelDescription description;
  std::string data;
  Split split = Split::test;
  std::int64_t batch_size = 256;
  std::vector<NormStatistics> statistics{NormStatistics::running};
  BackendOptions backend;
  std::string csv;              ///< "" = nothing, as below
  std::string logits;           ///< one row an image, with the first of `statistics`
  std::string save_recomputed;  ///< the model with recomputed statistics
  bool json = false;            ///< one JSON object instead of the tables on stdout
  LogOptions log;
};

void setup_eval(CLI::App& app, EvalOptions& options);

/// Returns the exit code; throws Error.
int run_eval(const EvalOptions& options);

}  // namespace bntrain::cli
