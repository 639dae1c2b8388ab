// How the statistics of a batch become inv_std and the running statistics.
#pragma once

#include "kernels/batch_norm/mean.cuh"
#include "kernels/kernels.hpp"
#include "kernels/simt/reduce.cuh"

namespace bntrain::kernels {

/// 1 / sqrt(var + eps); 0 where that is infinite or the variance overflows float32. A float32 approximation
/// and one Newton step, which leaves a relative error of 2^-43; division and root in fp64 take ten times as
/// long, and a whole block waits for them.
SIMT_DEVICE float inv_std_of(double var, double eps) {
  double x = var + eps;
  if (var > static_cast<double>(FLT_MAX) || x == 0) return 0;
  const bool tiny = x < 0x1p-100;  // might underflow in float32
  if (tiny) x *= 0x1p200;
  const auto guess = static_cast<double>(simt::inverse_sqrt_approximately(static_cast<float>(x)));
  const double root = guess * (1.5 - 0.5 * x * guess * guess);
  return to_float(tiny ? root * 0x1p100 : root);
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

struct ChannelStatistics {
  double mean, var;  ///< var: biased
};

/// Where the statistics of the channels are written; running_mean and running_var may be null.
struct StatisticsOutput {
  NormOptions options;
  std::int64_t channels;
  float *mean, *var, *inv_std, *running_mean, *running_var;

  SIMT_DEVICE void write(std::int64_t channel, double count, const ChannelStatistics& s) const {
    const Mean center = split_mean(s.mean);
    mean[channel] = center.high;
    mean[channels + channel] = center.low;
    var[channel] = to_float(s.var);
    inv_std[channel] = inv_std_of(s.var, options.eps);
    if (running_mean == nullptr) return;
    running_mean[channel] = running_average(running_mean[channel], s.mean, options.momentum);
    running_var[channel] = running_average(running_var[channel],
                                           running_variance_input(s.var, count, options), options.momentum);
  }
};

}  // namespace bntrain::kernels
