// The configuration of a bench as config.json holds it, and whether another command may continue it.
#pragma once

#include <string>

#include "bench/grid.hpp"
#include "train/records.hpp"

namespace bntrain::bench {

/// The settings of one run that its results depend on. Device and instruction set are not among them: the
/// variant says what came of them.
Json run_settings(const BenchConfig& config, const TrainConfig& run);

/// The settings of the bench that results depend on; the axes and "seeds" are lists.
Json settings_of(const BenchConfig& config);

/// The settings with everything else that two commands must have in common: versions, data, and `variant`,
/// which names the device and its kernels.
Json bench_record(const BenchConfig& config, const Dataset& dataset, const std::string& variant);

/// Throws Error(usage), naming the setting, unless the runs of the bench that `old` describes are runs of the
/// bench that `now` describes. The grid may have grown; the target, by which runs are judged, may be another.
/// `folder` is for the message.
void expect_continuation(const Json& old, const Json& now, const std::string& folder);

}  // namespace bntrain::bench
