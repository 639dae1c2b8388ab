// Batch norm backward in training, with the channels of x and dy on chip.
//
// Maths: gradients.cuh. Contract: batch_norm.hpp. Bytes moved: 3 S, for S bytes of tensor.
#include "kernels/batch_norm/gradients.cuh"
#include "kernels/batch_norm/on_chip.cuh"

namespace bntrain::kernels {
namespace {

using namespace simt;
using on_chip::load_constants;
using on_chip::Slice;

/// dx may be x or dy.
template <typename T>
struct BackwardPass {
  using Value = T;
  using Part = GradientSums;
  using Constants = InputGradient;
  using Combine = Add;
  static constexpr int kTensors = 2;

  const T *x, *dy;
  const float* gamma;
  Means means;
  const float* inv_std;
  T* dx;
  float *dgamma, *dbeta;
  float inverse_count;

  SIMT_DEVICE const T* tensor(int i) const { return i == 0 ? x : dy; }
  template <int kWidth, int kChannels>
  SIMT_DEVICE Part sums(const IterationSpace& space, const Chunk<kWidth, kChannels>& chunk,
                        const Slice<T>& slice, Shared<Pair<double>> scratch) const {
    const Cursor<kWidth, kChannels> cursor(space, chunk);
    Standardizer channels[kChannels] = {};
    if (cursor.more()) {
      SIMT_UNROLL
      for (int k = 0; k < kChannels; ++k)
        channels[k] = standardizer(means.at(cursor.channel + k), inv_std[cursor.channel + k]);
    }
    return chunk_gradients(space, chunk, slice.tile(0), slice.tile(1), channels, scratch);
  }
  SIMT_DEVICE Constants finish(std::int64_t channel, const Part& sum, bool write) const {
    const float sum_dy = static_cast<float>(sum.first), sum_dy_xhat = static_cast<float>(sum.second);
    if (write) {
      dbeta[channel] = sum_dy;
      dgamma[channel] = sum_dy_xhat;
    }
    return {standardizer(means.at(channel), inv_std[channel]), gamma[channel] * inv_std[channel],
            sum_dy * inverse_count, sum_dy_xhat * inverse_count};
  }
  template <int kWidth, int kChannels>
  SIMT_DEVICE void apply(const IterationSpace& space, const Chunk<kWidth, kChannels>& chunk,
                         const Slice<T>& slice, Shared<Constants> constants) const {
    Constants channels[kChannels];
    if (load_constants(space, chunk, constants, channels))
      input_gradient_chunk(space, chunk, slice.tile(0), slice.tile(1), channels, dx);
  }
};

}  // namespace

on_chip::Footprint backward_footprint(const IterationSpace& space) {
  return on_chip::footprint<BackwardPass<float>>(space);
}

void backward_on_chip(IterationSpace space, const on_chip::Placement& placement, std::int64_t count,
                      const float* x, const float* dy, const float* gamma, const float* mean,
                      const float* inv_std, float* dx, float* dgamma, float* dbeta, void* workspace,
                      const Stream& stream) {
  space.aligned = is_aligned(x) && is_aligned(dy) && is_aligned(dx);
  on_chip::launch_on_chip(
      "batch_norm_backward_on_chip", space, placement,
      BackwardPass<float>{x, dy, gamma, two_floats(mean, space.channels), inv_std, dx, dgamma, dbeta,
                          static_cast<float>(1.0 / static_cast<double>(count))},
      workspace, stream);
}

}  // namespace bntrain::kernels
