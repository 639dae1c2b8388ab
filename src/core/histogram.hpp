// How many values lie where.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace bntrain {

/// Counts of the finite values in intervals of equal width between the smallest and the largest one; each but
/// the last is without its upper end.
struct Histogram {
  double min = 0, max = 0;
  double sum = 0, sum_squares = 0;
  std::int64_t count = 0;            ///< of the finite values
  std::vector<std::int64_t> counts;  ///< one where all values are equal, none where no value is finite

  /// The upper end of that interval.
  double upper_end(std::size_t interval) const;
};

Histogram histogram(std::span<const float> values, std::size_t intervals = 30);

}  // namespace bntrain
