#include "core/quartiles.hpp"

#include <algorithm>
#include <cmath>

#include "bntrain/error.hpp"

namespace bntrain {

Quartiles summarise(std::vector<double> seconds) {
  BNTRAIN_EXPECTS(!seconds.empty());
  std::sort(seconds.begin(), seconds.end());
  const auto quantile = [&](double share) {
    const double place = share * static_cast<double>(seconds.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const std::size_t above = std::min(below + 1, seconds.size() - 1);
    return std::lerp(seconds[below], seconds[above], place - static_cast<double>(below));
  };
  return {quantile(0.25), quantile(0.5), quantile(0.75)};
}

}  // namespace bntrain
