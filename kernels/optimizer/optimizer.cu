// Stochastic gradient descent with momentum and weight decay over one flat buffer.
//
// Maths (Sutskever, Martens, Dahl, Hinton 2013, in the form of torch.optim.SGD with dampening 0), for i in
// [0, size):
//   g = gradient[i] + weight_decay * weights[i]
//   velocity[i] = momentum * velocity[i] + g          (without velocity: the step is g)
//   weights[i] -= lr * velocity[i]
//
// Contract: kernels.hpp. Every element is computed by one thread on its own, so the bits do not depend on the
// grid. Bytes moved: 5 * 4 * size with velocity, 3 * 4 * size without.
#include "kernels/kernels.hpp"
#include "kernels/simt/launch.hpp"
#include "kernels/simt/simt.hpp"

namespace bntrain::kernels {
namespace {

using namespace simt;

struct SgdTuning {
  static constexpr int kThreads = 256;
  static constexpr int kBlocksAMultiprocessor = 8;  // 2048 threads, all that fit
};

/// The new weight; `velocity` is the old one and becomes the new one.
SIMT_DEVICE float step(float gradient, float weight, float& velocity, const SgdScalars& s) {
  velocity = s.momentum * velocity + (gradient + s.weight_decay * weight);
  return weight - s.lr * velocity;
}

/// `vectors` is size / 4 where all pointers are aligned and else 0; the rest is done one by one.
template <bool has_velocity>
SIMT_KERNEL(SgdTuning::kThreads)
sgd_kernel(std::int64_t size, std::int64_t vectors, const float* __restrict__ gradient,
           const SgdScalars* __restrict__ scalars, const unsigned* __restrict__ halted,
           float* __restrict__ weights, float* __restrict__ velocity) {
  if (halted != nullptr && *halted != 0) return;
  const SgdScalars s = *scalars;
  constexpr int kLanes = Vec<float>::kSize;
  for (std::int64_t i = grid_thread(); i < vectors; i += grid_threads()) {
    const Vec<float> g = load_vec(gradient + i * kLanes);
    Vec<float> w = load_vec(weights + i * kLanes);
    Vec<float> v = {};
    if constexpr (has_velocity) v = load_vec(velocity + i * kLanes);
    SIMT_UNROLL
    for (int lane = 0; lane < kLanes; ++lane)
      w.lane[lane] = step(g.lane[lane], w.lane[lane], v.lane[lane], s);
    store_vec(weights + i * kLanes, w);
    if constexpr (has_velocity) store_vec(velocity + i * kLanes, v);
  }
  for (std::int64_t i = vectors * kLanes + grid_thread(); i < size; i += grid_threads()) {
    float v = 0;
    if constexpr (has_velocity) v = velocity[i];
    weights[i] = step(gradient[i], weights[i], v, s);
    if constexpr (has_velocity) velocity[i] = v;
  }
}

}  // namespace

void sgd(std::int64_t size, const float* gradient, const SgdScalars* scalars, const unsigned* halted,
         float* weights, float* velocity, const Stream& stream) {
  require(size >= 0, "sgd", "the size is negative");
  if (size == 0) return;
  const bool aligned =
      is_aligned(gradient) && is_aligned(weights) && (velocity == nullptr || is_aligned(velocity));
  const std::int64_t vectors = aligned ? size / Vec<float>::kSize : 0;
  const std::int64_t accesses = aligned ? vectors + 1 : size;
  launch(velocity != nullptr ? sgd_kernel<true> : sgd_kernel<false>,
         {.name = "sgd",
          .grid = strided_grid(accesses, SgdTuning::kThreads, SgdTuning::kBlocksAMultiprocessor, stream),
          .block = SgdTuning::kThreads},
         stream, size, vectors, gradient, scalars, halted, weights, velocity);
}

}  // namespace bntrain::kernels
