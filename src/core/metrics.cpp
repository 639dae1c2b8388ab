#include "bntrain/metrics.hpp"

namespace bntrain {

AverageMetrics average(const std::vector<StepMetrics>& steps) {
  AverageMetrics sum;
  std::int64_t batches = 0;
  for (const StepMetrics& step : steps) {
    if (step.count == 0) continue;  // an empty batch has no mean
    ++batches;
    sum.count += step.count;
    sum.loss += step.loss_sum;
    sum.accuracy += static_cast<double>(step.correct);
    sum.loss_batch_mean += step.loss();
    sum.accuracy_batch_mean += step.accuracy();
  }
  if (batches == 0) return sum;
  sum.loss /= static_cast<double>(sum.count);
  sum.accuracy /= static_cast<double>(sum.count);
  sum.loss_batch_mean /= static_cast<double>(batches);
  sum.accuracy_batch_mean /= static_cast<double>(batches);
  return sum;
}

}  // namespace bntrain
