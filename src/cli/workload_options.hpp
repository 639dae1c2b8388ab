// The flags that say what is trained and where, for every command that runs training steps.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "bntrain/config.hpp"

namespace bntrain::cli {

/// --data.
void add_data(CLI::App& app, std::string& data);

/// --data, --network, --batch-size.
void add_workload(CLI::App& app, TrainConfig& config);

/// --norm, of a single run.
void add_norm(CLI::App& app, TrainConfig& config);

/// --device, --threads, --cpu-isa, --precision.
void add_machine(CLI::App& app, BackendOptions& backend);

/// --jobs, of the commands that make many runs; 0 stands for auto.
void add_jobs(CLI::App& app, int& jobs);

}  // namespace bntrain::cli
