// Whether two networks that should compute the same do.
#pragma once

#include <span>

#include "bntrain/network.hpp"

namespace bntrain {

/// The largest |a - b| over all logits, and what rounding explains.
struct LogitDifference {
  double largest = 0;
  double allowed = 0;
  double logit = 0;  ///< the largest |a|
  bool is_rounding() const { return largest <= allowed; }
};

/// Two forward passes in float32 that round in different places differ by a few roundings in every layer, and
/// what one layer adds passes on to the logits in proportion to them:
///   allowed = 16 * 2^-23 * (conv and fc layers of `network`) * max |a|
/// A logit that is not finite makes the difference NaN, which is not rounding. `a` and `b` have equal sizes.
LogitDifference compare_logits(const Network& network, std::span<const float> a, std::span<const float> b);

}  // namespace bntrain
