// Which convolutions the direct kernels take.
#include <initializer_list>
#include <limits>

#include "kernels/convolution/shared_layout.hpp"
#include "kernels/kernels.hpp"
#include "kernels/simt/launch.hpp"

namespace bntrain::kernels {
namespace {

/// Whether the product is one of positive sizes and fits into int.
bool fits(std::initializer_list<std::int64_t> sizes) {
  constexpr std::int64_t kMost = std::numeric_limits<int>::max();
  std::int64_t product = 1;
  for (const std::int64_t size : sizes) {
    if (size < 1 || size > kMost) return false;
    product *= size;  // below 2^62
    if (product > kMost) return false;
  }
  return true;
}

}  // namespace

bool has_direct_convolution(const ConvolutionShape& s) {
  constexpr std::int64_t kMostPadding = 1 << 20;
  const bool kernel = s.kernel == 1 || s.kernel == 3 || s.kernel == 5 || s.kernel == 7;
  if (!kernel || (s.stride != 1 && s.stride != 2) || s.batch < 0 || !fits({s.batch + 1})) return false;
  if (s.padding < 0 || s.padding > kMostPadding || !fits({s.in_channels, s.height, s.width})) return false;
  if (s.height + 2 * s.padding < s.kernel || s.width + 2 * s.padding < s.kernel) return false;
  return fits({s.out_channels, s.out_height(), s.out_width()}) &&
         fits({s.out_channels, s.in_channels, s.kernel, s.kernel});
}

void require_direct_convolution(const ConvolutionShape& shape, const char* kernel) {
  require(has_direct_convolution(shape), kernel,
          "the kernel is not 1, 3, 5 or 7, the stride not 1 or 2, a size not positive or too large, or the "
          "kernel larger than the padded image");
}

}  // namespace bntrain::kernels
