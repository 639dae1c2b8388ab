// Batch norm forward in training, with the channels of x on chip.
//
// Maths: moments.cuh. Contract: batch_norm.hpp. Bytes moved: 2 S, for S bytes of tensor.
#include "kernels/batch_norm/moments.cuh"
#include "kernels/batch_norm/on_chip.cuh"

namespace bntrain::kernels {
namespace {

using namespace simt;
using on_chip::load_constants;
using on_chip::Slice;

/// x and y may be the same tensor.
template <typename T>
struct ForwardPass {
  using Value = T;
  using Part = Moments<double>;
  using Constants = Normalizer;
  using Combine = Merge;
  static constexpr int kTensors = 1;

  const T* x;
  const float *gamma, *beta;
  T* y;
  StatisticsOutput output;

  SIMT_DEVICE const T* tensor(int) const { return x; }
  template <int kWidth, int kChannels>
  SIMT_DEVICE Part sums(const IterationSpace& space, const Chunk<kWidth, kChannels>& chunk,
                        const Slice<T>& slice, Shared<Pair<double>> scratch) const {
    return chunk_moments(space, chunk, slice.tile(0), scratch);
  }
  SIMT_DEVICE Constants finish(std::int64_t channel, const Part& m, bool write) const {
    const double var = m.m2 / m.count;
    if (write) output.write(channel, m.count, {m.mean, var});
    return normalizer(split_mean(m.mean), inv_std_of(var, output.options.eps), gamma[channel], beta[channel]);
  }
  template <int kWidth, int kChannels>
  SIMT_DEVICE void apply(const IterationSpace& space, const Chunk<kWidth, kChannels>& chunk,
                         const Slice<T>& slice, Shared<Constants> constants) const {
    Constants normalizers[kChannels];
    if (load_constants(space, chunk, constants, normalizers))
      normalize_chunk(space, chunk, slice.tile(0), normalizers, y);
  }
};

}  // namespace

on_chip::Footprint forward_footprint(const IterationSpace& space) {
  return on_chip::footprint<ForwardPass<float>>(space);
}

void forward_on_chip(IterationSpace space, const on_chip::Placement& placement, const float* x,
                     const float* gamma, const float* beta, float* y, const StatisticsOutput& output,
                     void* workspace, const Stream& stream) {
  space.aligned = is_aligned(x) && is_aligned(y);
  on_chip::launch_on_chip("batch_norm_forward_on_chip", space, placement,
                          ForwardPass<float>{x, gamma, beta, y, output}, workspace, stream);
}

}  // namespace bntrain::kernels
