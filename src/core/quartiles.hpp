// How long something took that was timed often.
#pragma once

#include <vector>

namespace bntrain {

/// Quartiles in seconds, interpolated linearly between the samples.
struct Quartiles {
  double first = 0, median = 0, third = 0;
  /// The interquartile range as a share of the median.
  double spread() const { return (third - first) / median; }
};

/// Expects at least one sample.
Quartiles summarise(std::vector<double> seconds);

}  // namespace bntrain
