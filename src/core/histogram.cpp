#include "core/histogram.hpp"

#include <algorithm>
#include <cmath>

#include "bntrain/error.hpp"

namespace bntrain {

double Histogram::upper_end(std::size_t interval) const {
  if (interval + 1 == counts.size()) return max;
  return min + (max - min) * static_cast<double>(interval + 1) / static_cast<double>(counts.size());
}

Histogram histogram(std::span<const float> values, std::size_t intervals) {
  BNTRAIN_EXPECTS(intervals > 0);
  Histogram result;
  for (const double v : values) {
    if (!std::isfinite(v)) continue;
    result.min = result.count == 0 ? v : std::min(result.min, v);
    result.max = result.count == 0 ? v : std::max(result.max, v);
    result.sum += v;
    result.sum_squares += v * v;
    ++result.count;
  }
  if (result.count == 0) return result;
  const double width = result.max - result.min;
  if (width == 0) {
    result.counts = {result.count};
    return result;
  }
  result.counts.resize(intervals);
  for (const double v : values) {
    if (!std::isfinite(v)) continue;
    const double place = (v - result.min) / width * static_cast<double>(intervals);
    ++result.counts[std::min(static_cast<std::size_t>(place), intervals - 1)];
  }
  return result;
}

}  // namespace bntrain
