// The metrics of a step and of an epoch.
#pragma once

#include <cstdint>
#include <vector>

namespace bntrain {

/// One batch: the sum of the cross-entropies (nats), the images classified correctly, all images.
struct StepMetrics {
  double loss_sum = 0;
  std::int64_t correct = 0;
  std::int64_t count = 0;
  double lr = 0;  ///< of its update, where a trainer tells

  double loss() const { return loss_sum / static_cast<double>(count); }
  double accuracy() const { return static_cast<double>(correct) / static_cast<double>(count); }
};

/// Averages over batches, by image and, as the 2017 tutorial printed them, as means of batch means (there a
/// short last batch weighs as much as a full one).
struct AverageMetrics {
  double loss = 0;
  double accuracy = 0;
  double loss_batch_mean = 0;
  double accuracy_batch_mean = 0;
  std::int64_t count = 0;
};

/// An empty list gives zeros.
AverageMetrics average(const std::vector<StepMetrics>& steps);

}  // namespace bntrain
