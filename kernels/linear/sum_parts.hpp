// The second launch of sums that are divided among blocks. Inside of the library.
#pragma once

#include <cstdint>

namespace bntrain::kernels {

struct Stream;

/// partial: [parts, size], of which the sums go to `out`, or the first out_size of them to `out` and the
/// others to `rest`; either may be null then. bias: null, or added to out[i]: bias[i % columns].
struct PartialSums {
  const float* partial = nullptr;
  std::int64_t parts = 0, size = 0;
  float* out = nullptr;
  std::int64_t out_size = 0;
  float* rest = nullptr;
  const float* bias = nullptr;
  std::int64_t columns = 1;
};

/// Adds the parts in an order that depends on their number alone.
void sum_parts(const char* name, const PartialSums& sums, const Stream& stream);

}  // namespace bntrain::kernels
