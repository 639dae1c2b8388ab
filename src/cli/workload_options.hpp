// The flags that say what is trained and where, for every command that runs training steps.
#pragma once

#include <CLI/CLI.hpp>

#include "bntrain/config.hpp"

namespace bntrain::cli {

/// --data, --network, --batch-size.
void add_workload(CLI::App& app, TrainConfig& config);

/// --norm, of a single run.
void add_norm(CLI::App& app, TrainConfig& config);

/// --device, --threads, --cpu-isa, --precision.
void add_machine(CLI::App& app, BackendOptions& backend);

}  // namespace bntrain::cli
