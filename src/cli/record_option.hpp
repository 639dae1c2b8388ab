// --record: what is written about the inside of the network while it trains.
#pragma once

#include <CLI/CLI.hpp>

#include "bntrain/config.hpp"

namespace bntrain::cli {

/// Binds --record to a list of bn and activations.
void add_record(CLI::App& app, RecordOptions& record);

}  // namespace bntrain::cli
