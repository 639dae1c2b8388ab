#include "train/evaluation_loop.hpp"

#include <algorithm>
#include <vector>

#include "bntrain/error.hpp"

namespace bntrain {

std::int64_t batches(std::int64_t images, std::int64_t batch_size) {
  return (images + batch_size - 1) / batch_size;
}

BatchRange nth_batch(std::int64_t index, std::int64_t images, std::int64_t batch_size) {
  const std::int64_t first = index * batch_size;
  return {first, std::min(batch_size, images - first)};
}

AverageMetrics evaluate_batches(Executable& executable, std::int64_t images, std::int64_t batch_size,
                                const std::function<void(BatchRange)>& step) {
  const std::int64_t count = batches(images, batch_size);
  std::vector<StepMetrics> measured;
  for (std::int64_t batch = 0; batch < count; ++batch) {
    step(nth_batch(batch, images, batch_size));
    if (batch + 1 < count && (batch + 1) % longest_drain_interval != 0) continue;
    const std::vector<StepMetrics> drained = executable.drain_metrics();
    measured.insert(measured.end(), drained.begin(), drained.end());
  }
  BNTRAIN_EXPECTS(static_cast<std::int64_t>(measured.size()) == count);
  return average(measured);
}

AverageMetrics evaluate_batches(Executable& executable, std::int64_t images, std::int64_t batch_size) {
  return evaluate_batches(executable, images, batch_size,
                          [&](BatchRange range) { executable.eval_step(range); });
}

}  // namespace bntrain
