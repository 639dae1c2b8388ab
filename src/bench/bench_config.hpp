// The configuration of a bench as config.json holds it, and whether another command may go on with it.
#pragma once

#include <string>

#include "bench/grid.hpp"
#include "train/records.hpp"

namespace bntrain::bench {

/// The flags of one run that its results depend on, by their names. --device and --cpu-isa are not among
/// them: the variant says what came of them.
Json run_flags(const TrainConfig& run);

/// The flags that results depend on, by their names; the axes and "seeds" are lists.
Json flags_record(const BenchConfig& config);

/// The flags with everything else that two commands must have in common: versions, data, and `variant`, which
/// names the device and its kernels.
Json bench_record(const BenchConfig& config, const Dataset& dataset, const std::string& variant);

/// Throws Error(usage), naming the flag, unless the runs of the bench that `old` describes are runs of the
/// bench that `now` describes. The grid may have grown; --target, by which runs are judged, may be another.
/// `folder` is for the message.
void expect_continuation(const Json& old, const Json& now, const std::string& folder);

}  // namespace bntrain::bench
