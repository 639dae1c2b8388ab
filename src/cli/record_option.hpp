// --record: what is written about the inside of the network while it trains.
#pragma once

#include <string>

#include "bntrain/config.hpp"
#include "cli/app_fwd.hpp"

namespace bntrain::cli {

/// Binds --record to a list of bn and activations. `where` they are written, for the help.
void add_record(CLI::App& app, RecordOptions& record, const std::string& where);

}  // namespace bntrain::cli
