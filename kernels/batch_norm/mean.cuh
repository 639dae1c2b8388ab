// The mean of a channel as two float32. A mean rounded to one of them is off by up to 2^-24 |mean|, which the
// normalised values get times inv_std: where the mean is 1000 deviations, 6e-5 of each.
#pragma once

#include <cfloat>
#include <cmath>

#include "kernels/simt/simt.hpp"

namespace bntrain::kernels {

/// Values that overflow float32 become infinite. (So they do in a conversion, but C++ does not promise it.)
SIMT_DEVICE float to_float(double value) {
  if (value > static_cast<double>(FLT_MAX)) return INFINITY;
  if (value < -static_cast<double>(FLT_MAX)) return -INFINITY;
  return static_cast<float>(value);
}

/// high + low, up to 2^-48 of it.
struct Mean {
  float high, low;

  /// x - mean. The first difference is exact where x is near the mean.
  SIMT_DEVICE float deviation(float x) const { return (x - high) - low; }
};

SIMT_DEVICE Mean split_mean(double mean) {
  const float high = to_float(mean);
  const double rest = mean - static_cast<double>(high);
  return {high, rest - rest == 0 ? static_cast<float>(rest) : 0.0f};  // not infinity - infinity
}

/// The means of the channels; a null array stands for zeros.
struct Means {
  const float *high, *low;

  SIMT_DEVICE Mean at(std::int64_t channel) const {
    return {high != nullptr ? high[channel] : 0, low != nullptr ? low[channel] : 0};
  }
};

/// Those of `mean`, [2 * channels]: the high parts, then the low ones.
SIMT_HOST_DEVICE Means two_floats(const float* mean, std::int64_t channels) {
  return {mean, mean + channels};
}

}  // namespace bntrain::kernels
