// How the statistics of a batch become inv_std and the running statistics.
#pragma once

#include "kernels/batch_norm/mean.cuh"
#include "kernels/kernels.hpp"
#include "kernels/simt/reduce.cuh"

namespace bntrain::kernels {

/// 1 / sqrt(var + eps); 0 where that is infinite or the variance overflows float32.
SIMT_DEVICE float inv_std_of(double var, double eps) {
  if (var > static_cast<double>(FLT_MAX) || var + eps == 0) return 0;
  return static_cast<float>(simt::inverse_sqrt(var + eps));
}

/// Unlike a product with 0, a weight of 0 also ignores infinity and NaN.
SIMT_DEVICE float running_average(float running, double statistic, double momentum) {
  const double old_term = momentum == 0 ? 0 : momentum * static_cast<double>(running);
  const double new_term = momentum == 1 ? 0 : (1 - momentum) * statistic;
  return to_float(old_term + new_term);
}

/// The variance that enters running_var, from a biased variance over `count` values.
SIMT_DEVICE double running_variance_input(double biased, double count, const NormOptions& options) {
  // A variance that overflows makes running_var infinite, even if (1 - momentum) times it would not overflow.
  if (biased > static_cast<double>(FLT_MAX)) return INFINITY;
  return options.unbiased && count > 1 ? biased * (count / (count - 1)) : biased;
}

/// Where the statistics of the channels are written; running_mean and running_var may be null.
struct StatisticsOutput {
  NormOptions options;
  std::int64_t channels;
  float *mean, *var, *inv_std, *running_mean, *running_var;

  SIMT_DEVICE void write(std::int64_t channel, const simt::Moments<double>& m) const {
    const double biased = m.m2 / m.count;
    const Mean center = split_mean(m.mean);
    mean[channel] = center.high;
    mean[channels + channel] = center.low;
    var[channel] = to_float(biased);
    inv_std[channel] = inv_std_of(biased, options.eps);
    if (running_mean == nullptr) return;
    running_mean[channel] = running_average(running_mean[channel], m.mean, options.momentum);
    running_var[channel] = running_average(
        running_var[channel], running_variance_input(biased, m.count, options), options.momentum);
  }
};

}  // namespace bntrain::kernels
