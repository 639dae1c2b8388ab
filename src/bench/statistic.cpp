#include "bench/statistic.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "bntrain/error.hpp"

namespace bntrain::bench {

std::optional<Statistic> describe(const std::vector<double>& values) {
  if (values.empty()) return std::nullopt;
  for (const double value : values) BNTRAIN_EXPECTS(std::isfinite(value));
  const auto count = static_cast<double>(values.size());
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  Statistic statistic{.n = static_cast<std::int64_t>(values.size()),
                      .mean = std::accumulate(values.begin(), values.end(), 0.0) / count,
                      .sd = std::nullopt,
                      .min = *least,
                      .max = *most};
  if (values.size() > 1) {
    double squares = 0;
    for (const double value : values) squares += (value - statistic.mean) * (value - statistic.mean);
    statistic.sd = std::sqrt(squares / (count - 1));
  }
  return statistic;
}

}  // namespace bntrain::bench
