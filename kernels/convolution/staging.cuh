// Planes of images in shared memory, as all direct convolutions read them.
#pragma once

#include "kernels/convolution/shared_layout.hpp"

namespace bntrain::kernels {

/// tile[channels][images][rows][pitch]. Channels are an odd number of vectors apart, so that eight lanes that
/// read the same pixels of adjacent channels use different banks.
class PlaneTile {
 public:
  PlaneTile(int channels, int images, int rows, int pitch)
      : channels_(channels),
        images_(images),
        rows_(rows),
        pitch_(pitch),
        channel_stride_(round_up(images * rows * pitch - 4, 8) + 4),
        by_pitch_(pitch),
        by_rows_(rows),
        by_images_(images) {}

  SIMT_HOST_DEVICE int channels() const { return channels_; }
  SIMT_HOST_DEVICE int images() const { return images_; }
  SIMT_HOST_DEVICE int pitch() const { return pitch_; }
  SIMT_HOST_DEVICE int floats() const { return channels_ * channel_stride_; }
  SIMT_HOST_DEVICE int at(int channel, int image, int row) const {
    return channel * channel_stride_ + (image * rows_ + row) * pitch_;
  }

  /// Calls visit(i, channel, image, row, column) for the elements of this thread.
  template <typename Visit>
  SIMT_DEVICE void for_each(Visit visit) const {
    for (int i = simt::thread_index(); i < channels_ * images_ * rows_ * pitch_; i += simt::block_size()) {
      const int line = by_pitch_.quotient(i);
      const int plane = by_rows_.quotient(line);
      const int channel = by_images_.quotient(plane);
      const int image = by_images_.remainder(plane, channel), row = by_rows_.remainder(line, plane);
      const int column = by_pitch_.remainder(i, line);
      visit(at(channel, image, row) + column, channel, image, row, column);
    }
  }

 private:
  int channels_, images_, rows_, pitch_, channel_stride_;
  Divider by_pitch_, by_rows_, by_images_;
};

/// A dense tensor of images.
struct Planes {
  const float* data;
  int batch, channels, height, width;
};

/// A place in one; row and column may lie outside.
struct Corner {
  int image, channel, row, column;
};

/// Copies what lies from the corner on, and zeros where there is nothing. The caller waits: copies_wait(),
/// then a barrier.
SIMT_DEVICE void stage(const Planes& from, const Corner& corner, const PlaneTile& tile,
                       simt::Shared<float> to) {
  tile.for_each([&](int i, int channel, int image, int row, int column) {
    const int n = corner.image + image, c = corner.channel + channel;
    const int y = corner.row + row, x = corner.column + column;
    if (n < from.batch && c < from.channels && y >= 0 && y < from.height && x >= 0 && x < from.width)
      simt::copy_async<1>(
          to + i, from.data +
                      (static_cast<std::int64_t>(n) * from.channels + c) * (from.height * from.width) +
                      y * from.width + x);
    else
      to[i] = 0.0f;
  });
}

/// Some vectors of shared memory.
template <int size>
SIMT_DEVICE void read(simt::Shared<float> from, float (&to)[size]) {
  static_assert(size % 4 == 0);
  SIMT_UNROLL
  for (int i = 0; i < size; i += 4) {
    const simt::Vec<float> four = simt::load_vec(from + i);
    SIMT_UNROLL
    for (int k = 0; k < 4; ++k) to[i + k] = four.lane[k];
  }
}

}  // namespace bntrain::kernels
