// The loop over the batches of an evaluation.
#pragma once

#include <cstdint>
#include <functional>

#include "backend/executable.hpp"
#include "bntrain/metrics.hpp"

namespace bntrain {

/// A backend keeps the metrics of undrained steps, so their number must have a bound.
inline constexpr std::int64_t longest_drain_interval = 1000;

std::int64_t batches(std::int64_t images, std::int64_t batch_size);

/// The batch of that index (from 0); the last one may be short.
BatchRange nth_batch(std::int64_t index, std::int64_t images, std::int64_t batch_size);

/// Calls `step`, which makes one evaluation step of `executable`, on every batch of `images` images in their
/// order. Returns the averages over all of them.
AverageMetrics evaluate_batches(Executable& executable, std::int64_t images, std::int64_t batch_size,
                                const std::function<void(BatchRange)>& step);

/// With Executable::eval_step(): running statistics, on the test set of the executable.
AverageMetrics evaluate_batches(Executable& executable, std::int64_t images, std::int64_t batch_size);

}  // namespace bntrain
