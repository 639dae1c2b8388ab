// What bntrain reproduce prints.
#pragma once

#include <string>
#include <vector>

#include "bench/reproduction.hpp"
#include "bntrain/dataset.hpp"
#include "train/records.hpp"

namespace bntrain::cli {

/// One paragraph an experiment: what it is, what it claims, what it costs on this data.
std::string experiment_list(const std::vector<bench::Experiment>& experiments, std::int64_t seeds,
                            const Dataset& dataset);

/// Recorded and measured side by side, then every check with its verdict.
std::string reproduction_table(const bench::Experiment& experiment, const bench::Judgement& judgement);

Json reproduction_record(const bench::Experiment& experiment, const bench::Judgement& judgement);

}  // namespace bntrain::cli
