// How statistics become what the normalisation divides by and what the moving averages hold.
#pragma once

#include <cfloat>

#include "kernels/kernels.hpp"
#include "kernels/simt/simt.hpp"

namespace bntrain::kernels {

/// 1 / sqrt(var + eps); 0 where that is infinite, or the variance beyond float32.
SIMT_DEVICE float inverse_deviation(double var, double eps) {
  if (var > static_cast<double>(FLT_MAX) || var + eps == 0) return 0;
  return static_cast<float>(simt::inverse_sqrt(var + eps));
}

/// What lies beyond float32 becomes infinite. (A plain conversion does so too, but C++ does not promise it.)
SIMT_DEVICE float to_float(double value) {
  if (value > static_cast<double>(FLT_MAX)) return INFINITY;
  if (value < -static_cast<double>(FLT_MAX)) return -INFINITY;
  return static_cast<float>(value);
}

/// A weight of 0 also forgets infinity and NaN.
SIMT_DEVICE float moving_average(float running, double statistic, double momentum) {
  const double old_term = momentum == 0 ? 0 : momentum * static_cast<double>(running);
  const double new_term = momentum == 1 ? 0 : (1 - momentum) * statistic;
  return to_float(old_term + new_term);
}

/// What the moving average of the variance takes in, for a biased variance over `count` values.
SIMT_DEVICE double recorded_variance(double biased, double count, const NormOptions& options) {
  // A small share of it may fit again: the moving average has to show it nevertheless.
  if (biased > static_cast<double>(FLT_MAX)) return INFINITY;
  return options.unbiased && count > 1 ? biased * (count / (count - 1)) : biased;
}

}  // namespace bntrain::kernels
