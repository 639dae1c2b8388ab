// bntrain predict: what a model takes pictures for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bntrain/backend.hpp"
#include "bntrain/model.hpp"
#include "cli/app_fwd.hpp"
#include "cli/logging.hpp"
#include "cli/workload_options.hpp"

namespace bntrain::cli {

/// Images of a data set, both included, from 0.
struct ImageRange {
  std::int64_t first = 0;
  std::int64_t last = 0;
};

struct PredictOptions {
  std::string model;
  std::vector<std::string> images;  ///< files and folders
  ModelDescription description;
  std::optional<ImageRange> range;  ///< of the data set, behind the pictures
  std::string data;
  Split split = Split::test;
  bool invert = false;
  std::int64_t top = 3;
  std::int64_t batch_size = 256;
  BackendOptions backend;
  bool json = false;  ///< a JSON object an image instead of a text line on stdout
  LogOptions log;
};

void setup_predict(CLI::App& app, PredictOptions& options);

/// Returns the exit code; throws Error.
int run_predict(const PredictOptions& options);

}  // namespace bntrain::cli
