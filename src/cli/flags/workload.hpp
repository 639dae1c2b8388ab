// The flags that say what is computed and where, for every command that runs a network.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "bntrain/backend.hpp"
#include "bntrain/model_file.hpp"
#include "bntrain/train.hpp"
#include "cli/flags/app_fwd.hpp"
#include "cli/reports/output.hpp"
#include "core/named.hpp"

namespace bntrain::cli {

/// Which images of a data set.
enum class Split { test, train };

inline constexpr Named<Split> split_names[] = {{"test", Split::test}, {"train", Split::train}};

/// --data, --classes, --network, --batch-size.
void add_workload(CLI::App& app, std::string& data, std::optional<std::int64_t>& classes,
                  TrainConfig& config);

/// --norm, of a single run.
void add_norm(CLI::App& app, TrainConfig& config);

void add_data(CLI::App& app, std::string& data);
/// --classes, where there is a data set.
void add_classes(CLI::App& app, std::optional<std::int64_t>& classes, const std::string& help);
/// --normalize.
void add_normalization(CLI::App& app, Normalization& normalization, const std::string& help);
void add_split(CLI::App& app, Split& split, const std::string& help);
void add_batch_size(CLI::App& app, std::int64_t& batch_size);

/// --network, --bn-eps, --normalize: for model files that do not say.
void add_description(CLI::App& app, ModelDescription& description);
/// --input, --classes: likewise, where no data set has them.
void add_image_description(CLI::App& app, ModelDescription& description);

/// --device, --threads, --cpu-isa, --conv, --precision.
void add_machine(CLI::App& app, BackendOptions& backend);

/// --json, --quiet, --no-color.
void add_output(CLI::App& app, bool& json, const std::string& json_help, LogOptions& log);
/// The latter two.
void add_log_options(CLI::App& app, LogOptions& options);

/// --jobs, of the commands that make many runs; 0 stands for auto.
void add_jobs(CLI::App& app, int& jobs);

}  // namespace bntrain::cli
