#include <algorithm>
#include <cmath>
#include <limits>

#include "train/probe.hpp"

namespace bntrain {

Percentiles percentiles(std::vector<float> values) {
  Percentiles result;
  result.fill(std::numeric_limits<double>::quiet_NaN());
  if (values.empty() || std::ranges::any_of(values, [](float v) { return std::isnan(v); })) return result;
  const auto last = static_cast<std::int64_t>(values.size()) - 1;
  auto unsorted = values.begin();  // everything before it is in its place: percents rise
  for (std::size_t i = 0; i < percents.size(); ++i) {
    // In integers: p / 100 in floating point could fall short of the position that is meant.
    const std::int64_t hundredths = percents[i] * last;
    const auto lower = values.begin() + hundredths / 100;
    std::nth_element(unsorted, lower, values.end());
    unsorted = lower;
    result[i] = *lower;
    if (hundredths % 100 == 0) continue;
    const double upper = *std::min_element(lower + 1, values.end());
    if (upper == result[i]) continue;  // inf - inf would be NaN
    result[i] += (upper - result[i]) * static_cast<double>(hundredths % 100) / 100;
  }
  return result;
}

}  // namespace bntrain
