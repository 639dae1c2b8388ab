// bntrain::kernels: the patches that a convolution multiplies by its weights. Part of kernels.hpp, whose
// rules hold here too.
#pragma once

#include <cstdint>

namespace bntrain::kernels {

struct Stream;

/// Images of `channels` planes and the square windows of a convolution over them.
struct PatchShape {
  std::int64_t batch = 0, channels = 0, height = 0, width = 0;
  std::int64_t kernel = 1, stride = 1, padding = 0;

  std::int64_t out_height() const { return (height + 2 * padding - kernel) / stride + 1; }
  std::int64_t out_width() const { return (width + 2 * padding - kernel) / stride + 1; }
  /// Elements of a patch, and patches of an image.
  std::int64_t patch() const { return channels * kernel * kernel; }
  std::int64_t places() const { return out_height() * out_width(); }
};

/// patches[n, (c, i, j), (row, column)] = x[n, c, row * stride + i - padding, column * stride + j - padding],
/// 0 in the padding ("im2col"). x: [batch, channels, height, width]; patches: [batch, patch(), places()].
void gather_patches(const PatchShape& shape, const float* x, float* patches, const Stream& stream);

/// The transpose of gather_patches(): x[n, c, h, w] = the sum of the elements of `patches` that
/// gather_patches() reads from there, in the order of (i, j); 0 where there are none ("col2im").
void sum_patches(const PatchShape& shape, const float* patches, float* x, const Stream& stream);

}  // namespace bntrain::kernels
