// The largest data set that is accepted. Larger sizes are a damaged header or a typing error, and below these
// limits every product of sizes fits an int64.
#pragma once

#include <cstdint>

namespace bntrain {

inline constexpr std::int64_t max_side = 4096;          ///< channels, height or width of an image
inline constexpr std::int64_t max_images = 10'000'000;  ///< images of a set
inline constexpr std::int64_t max_set_bytes = std::int64_t{4} << 30;  ///< memory: everything is held at once

}  // namespace bntrain
