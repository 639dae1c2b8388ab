// NormVariant::streamed: one cooperative launch in which all blocks of the grid share every strip of
// channels, and exchange its sums by messages (exchange.cuh). The host's side: which kernel serves a shape,
// in which grid.
//
//   whole    channels last, few channels: the tensor as a whole is in the registers of the grid
//            (streamed_whole.cuh)
//   strips   strip after strip streams through a ring in shared memory; what registers and ring keep is not
//            read again (streamed_strips.cuh)
//
// How the sums are divided depends on the number of blocks, which the shape and the device alone decide: so
// the bits repeat. A stream that allows fewer blocks is not served.
#pragma once

#include "kernels/batch_norm/batch_norm.hpp"
#include "kernels/batch_norm/exchange.cuh"
#include "kernels/batch_norm/resident.hpp"
#include "kernels/simt/launch.hpp"

namespace bntrain::kernels::streamed {

/// All that can be tuned.
struct Tuning {
  static constexpr int kMaxBlocks = 256;  ///< of a grid, by which the workspace is sized
  static constexpr int kMaxGroups = 32;

  // Strips. 256 threads of 255 registers keep twice as much as 512 of 128. Measured on an H200.
  static constexpr int kThreads = 256;
  static constexpr int kSlotVectors = 2;  ///< vectors of a thread in a slot of the ring
  static constexpr int kSlots = 26;       ///< where shared memory allows (9.0), else kFewSlots
  static constexpr int kFewSlots = 10;
  static constexpr int kAhead = 8;  ///< slots that are free for what comes next when the sums are exchanged
  /// Batches of a strip that stay in registers; fewer where a vector has many channels' sums.
  static SIMT_HOST_DEVICE constexpr int kept(int channels) { return channels > 4 ? 12 : 16; }
  static constexpr int kMaxStripChannels = 128;
  /// Rows of a strip, bytes: strips of 128 bytes are copied at 3320 GB/s, of 256 at 3798, of 64 at 1950.
  static constexpr std::int64_t kRowBytes = 128, kWideRowBytes = 256;

  // Whole. The two instances' vectors of a thread; fewer where a vector has many channels' sums.
  static constexpr int kMaxThreads = 640;
  static SIMT_HOST_DEVICE constexpr int vectors(int instance, int channels) {
    return channels > 4 ? (instance == 0 ? 3 : 5) : (instance == 0 ? 5 : 9);
  }
};

/// Strips of channels and how groups of blocks share them. A row is what is adjacent in one: the vectors of
/// some channels (channels last), or one vector (channels first). Offsets are counted in vectors.
struct Strips {
  int channels = 0, strip_channels = 0, strips = 0;
  int columns = 0;  ///< vectors of a row, a power of two
  int groups = 1;   ///< of blocks; group g has strips g, g + groups, ...
  int cached = 0;   ///< batches that may wait in the L2 cache to be read again
  std::uint32_t rows = 0;
  std::uint32_t row_step = 0;     ///< from row to row
  std::uint32_t plane_skip = 0;   ///< from the end of a channel's plane to its next plane (channels first)
  std::uint32_t strip_step = 0;   ///< from strip to strip
  std::uint32_t origin_step = 0;  ///< elements from a channel's first value to the next channel's
  FastDivision plane{};           ///< rows of a plane (channels first)
};

/// A channels-last tensor as a whole, as a flat array of vectors. A period is the vectors after which
/// the channels of a vector repeat; a block takes `rows` periods at a time.
struct Whole {
  int channels = 0, period = 0, rows = 0;
  std::uint32_t vectors = 0;
};

/// A launch. grid 0: the shape cannot be served.
struct Placement {
  enum class Kernel { strips_first, strips_last, whole };
  Kernel kernel = Kernel::strips_first;
  int instance = 0;  ///< of Kernels' two
  Strips strips;
  Whole whole;
  LaunchConfig config{.name = nullptr, .grid = 0};
  std::int64_t messages = 0;
  std::int64_t kept_bytes = 0;  ///< of a strip, or of all: what is not read twice
};

/// The instances for one pass and type of tensor, by Placement::kernel and instance: kSlots and kFewSlots, or
/// Tuning::vectors().
struct Kernels {
  const char* name;
  const void* by_kernel[3][2];
  int inputs, value_bytes, constants_bytes;
};

/// No size of the shape is 0. Tensors must be 16-byte aligned.
Placement place(const Kernels& kernels, const NormShape& shape, const Stream& stream);

/// Of the passes over float32.
Placement place_forward(const NormShape& shape, const Stream& stream);
Placement place_backward(const NormShape& shape, const Stream& stream);

/// Bytes of the workspace on any device, 0 where the shape cannot be served.
std::int64_t workspace(const NormShape& shape, int value_bytes);

// Both launch what place_forward() and place_backward() have found. The workspace is 16-byte aligned, and its
// contents before and after are unspecified.

template <typename T>
struct ForwardArguments;
template <typename T>
struct BackwardArguments;

void forward(const Placement& placement, const ForwardArguments<float>& arguments, void* workspace,
             const Stream& stream);
void backward(const Placement& placement, const BackwardArguments<float>& arguments, void* workspace,
              const Stream& stream);

}  // namespace bntrain::kernels::streamed
