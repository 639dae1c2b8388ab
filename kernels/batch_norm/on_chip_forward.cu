// Batch norm forward with the channels on chip, for training.
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
  SIMT_DEVICE Part sums(const Walk& walk, const Chunk<kWidth, kChannels>& chunk, const Slice<T>& slice,
                        Shared<Pair<double>> scratch) const {
    return chunk_moments(walk, chunk, slice.tile(0), scratch);
  }
  SIMT_DEVICE Constants finish(std::int64_t channel, const Part& m, bool write) const {
    if (write) output.write(channel, m);
    const float invstd = inverse_deviation(m.m2 / m.count, output.options.eps);
    return {to_float(m.mean), gamma[channel] * invstd, beta[channel], invstd};
  }
  template <int kWidth, int kChannels>
  SIMT_DEVICE void apply(const Walk& walk, const Chunk<kWidth, kChannels>& chunk, const Slice<T>& slice,
                         Shared<Constants> constants) const {
    Constants normalizers[kChannels];
    if (load_constants(walk, chunk, constants, normalizers))
      normalize_chunk(walk, chunk, slice.tile(0), normalizers, y);
  }
};

}  // namespace

on_chip::Footprint forward_footprint(const Walk& walk) {
  return on_chip::footprint<ForwardPass<float>>(walk);
}

void forward_on_chip(Walk walk, const on_chip::Placement& placement, const float* x, const float* gamma,
                     const float* beta, float* y, const StatisticsOutput& output, void* workspace,
                     const Stream& stream) {
  walk.aligned = is_aligned(x) && is_aligned(y);
  on_chip::launch_on_chip("batch_norm_forward_on_chip", walk, placement,
                          ForwardPass<float>{x, gamma, beta, y, output}, workspace, stream);
}

}  // namespace bntrain::kernels
