// The NaN that tests put where nobody may read, or where somebody must notice it.
#pragma once

#include <limits>

namespace bntrain::support {

inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

}  // namespace bntrain::support
