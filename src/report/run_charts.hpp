// The charts of runs.
#pragma once

#include <cstdint>
#include <vector>

#include "report/chart.hpp"
#include "report/run_history.hpp"

namespace bntrain::report {

/// Loss and accuracy by epoch and, where steps were recorded, by step; learning rate; images a second.
std::vector<Chart> curve_charts(const RunHistory& run);

/// What one batch norm or activation layer read and kept. `id` begins the charts' ids.
std::vector<Chart> norm_charts(const LayerHistory<NormPoint>& layer, const std::string& id);
std::vector<Chart> activation_charts(const LayerHistory<ActivationPoint>& layer, const std::string& id);

/// The learning rate of the steps that were made: as recorded, else as the run's schedule has it. `missing`
/// receives a sentence where neither is known.
Series learning_rates(const RunHistory& run, std::vector<std::string>& missing);

/// Exponential moving average over about `span` values, its start corrected for bias as Adam's; what is not
/// finite is passed over.
std::vector<double> smoothed(const std::vector<double>& values, double span);

}  // namespace bntrain::report
