// Softmax cross-entropy of an image by a warp, and what a batch leaves behind. See softmax_cross_entropy.cu.
#pragma once

#include <climits>
#include <cmath>

#include "kernels/loss/softmax_cross_entropy.hpp"
#include "kernels/simt/reduce.cuh"

namespace bntrain::kernels {

using simt::Pair;

struct Prediction {
  float logit;
  int index;
};

/// The larger logit, the first of equal ones. NaN is never larger and is detected separately.
struct Better {
  SIMT_DEVICE Prediction operator()(Prediction a, Prediction b) const {
    return b.logit > a.logit || (b.logit == a.logit && b.index < a.index) ? b : a;
  }
};

/// The loss of one image, and 1 if it is classified correctly, else 0; in every lane of the warp that calls
/// it. logit(k): that of class k. Calls write(k, gradient) for every class where `gradient`
/// says so.
template <typename Logit, typename Write>
SIMT_DEVICE Pair<double> image_loss(int classes, Logit logit, std::int64_t label, double scale, bool gradient,
                                    Write write) {
  Prediction best{-INFINITY, INT_MAX};
  bool nan = false;
  for (int k = simt::lane_index(); k < classes; k += simt::kWarpSize) {
    const float z = logit(k);
    nan = nan || z != z;
    best = Better{}(best, {z, k});
  }
  nan = simt::vote_any(nan);
  best = simt::warp_reduce(best, Better{});
  const double top = nan ? NAN : best.logit;
  double sum = 0;
  for (int k = simt::lane_index(); k < classes; k += simt::kWarpSize) sum += std::exp(logit(k) - top);
  sum = simt::warp_sum(sum);
  if (gradient)
    for (int k = simt::lane_index(); k < classes; k += simt::kWarpSize)
      write(k, static_cast<float>((std::exp(logit(k) - top) / sum - (k == label ? 1.0 : 0.0)) * scale));
  const double of_label = label < classes ? logit(static_cast<int>(label)) : NAN;
  // The difference first: added to a large logit the logarithm would be lost.
  return {std::log(sum) + (top - of_label), !nan && best.index == label ? 1.0 : 0.0};
}

/// Writes the metrics of the batch and advances the state. For one thread.
SIMT_DEVICE void record(Pair<double> sum, std::int64_t batch, BatchState* state, const LossOutput& output) {
  const bool stopped = output.halted != nullptr && *output.halted != 0;
  const bool finite = std::isfinite(sum.first);
  if (output.halted != nullptr && !finite) *output.halted = 1;
  if (output.finite_steps != nullptr && finite && !stopped) *output.finite_steps += 1;
  if (state->step >= 0 && state->step < output.slots)
    output.metrics[state->step] = {stopped ? NAN : sum.first,
                                   stopped ? 0 : static_cast<std::int64_t>(sum.second), batch};
  state->first += batch;
  state->step += 1;
}

}  // namespace bntrain::kernels
