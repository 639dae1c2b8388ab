#include "train/logit_difference.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "bntrain/error.hpp"
#include "layers/layer_type.hpp"

namespace bntrain {
namespace {

constexpr double kRoundings = 16;

}  // namespace

LogitDifference compare_logits(const Network& network, std::span<const float> a, std::span<const float> b) {
  BNTRAIN_EXPECTS(a.size() == b.size());
  LogitDifference result;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(static_cast<double>(a[i]) - b[i]);
    if (!std::isfinite(difference)) {
      result.largest = std::numeric_limits<double>::quiet_NaN();
      return result;
    }
    result.logit = std::max(result.logit, std::abs(static_cast<double>(a[i])));
    result.largest = std::max(result.largest, difference);
  }
  const auto weighted =
      std::ranges::count_if(network.layers(), [](const Layer& layer) { return type_of(layer).weighted; });
  result.allowed =
      kRoundings * std::numeric_limits<float>::epsilon() * static_cast<double>(weighted) * result.logit;
  return result;
}

}  // namespace bntrain
