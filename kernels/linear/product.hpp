// Products of matrices of which one side or the result is small: c[m, n] = sum over k of a[m, k] * b[n, k].
// Inside of the library.
#pragma once

#include <cstdint>

namespace bntrain::kernels {

struct Stream;

/// A matrix that is dense along its rows or along the summed index k.
struct Factor {
  const float* data = nullptr;
  bool k_adjacent = true;  ///< data[row * stride + k], else data[k * stride + row]
  std::int64_t stride = 0;
};

struct ProductShape {
  std::int64_t rows = 0, columns = 0, depth = 0;  ///< m, n, k
};

std::int64_t product_workspace(const ProductShape& shape);

/// c[m * columns + n] = bias[n] + sum over k; a null bias is 0.
void product(const char* name, const ProductShape& shape, const Factor& a, const Factor& b, const float* bias,
             float* c, void* workspace, const Stream& stream);

}  // namespace bntrain::kernels
