// bntrain export: a model for other programs.
#pragma once

#include <optional>
#include <string>

#include "bntrain/backend.hpp"
#include "bntrain/batch_norm_convention.hpp"
#include "bntrain/model.hpp"
#include "cli/app_fwd.hpp"
#include "cli/logging.hpp"

namespace bntrain::cli {

struct ExportOptions {
  std::string model;
  std::string output;
  bool fold = false;                              ///< folds the batch norms and compares the logits
  std::optional<BatchNormConvention> convention;  ///< whose running_var is written
  ModelDescription description;
  std::string data;  ///< images to compare logits on; also tells shape and classes
  BackendOptions backend;
  LogOptions log;
};

void setup_export(CLI::App& app, ExportOptions& options);

/// Returns the exit code; throws Error.
int run_export(const ExportOptions& options);

}  // namespace bntrain::cli
