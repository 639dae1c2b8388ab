// Results as files: results.json and results.csv, described in docs/bench.md.
#pragma once

#include <optional>
#include <string>

#include "bench/results.hpp"

namespace bntrain::bench {

/// Everything but the values whose names contain "seconds" is the same in two benches of the same
/// configuration. What was not finite is null.
Json results_json(const Results& results, const Dataset& dataset);

/// null for none.
Json statistic_record(const std::optional<Statistic>& statistic);

/// A heading and a row for every epoch of every run; a run that finished no epoch has one with empty cells.
std::string results_csv(const Results& results);

}  // namespace bntrain::bench
