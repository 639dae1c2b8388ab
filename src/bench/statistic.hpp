// Mean and spread of a few numbers.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace bntrain::bench {

struct Statistic {
  std::int64_t n = 0;
  double mean = 0;
  std::optional<double> sd;  ///< of the sample, with n - 1; none for a single number
  double min = 0, max = 0;
};

/// None for no numbers. Expects finite ones.
std::optional<Statistic> describe(const std::vector<double>& values);

}  // namespace bntrain::bench
