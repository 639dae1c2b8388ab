// Bias and activation, where the matrix product or the convolution does not include them.
//
// Maths, x: [batch, channels, spatial]: y = activation(x + bias[channel]), a null bias being one of 0.
//
// Contract: elementwise.hpp. Each element is computed by one thread on its own, so that y may be x and no bit
// depends on the grid. Bytes moved: 8 * size.
#include "kernels/elementwise/activation.cuh"
#include "kernels/elementwise/elementwise.cuh"
#include "kernels/kernels.hpp"

namespace bntrain::kernels {
namespace {

using namespace simt;

constexpr int kLanes = Vec<float>::kSize;

/// What a thread reads at once: one element, four of one channel, four of neighbouring channels.
enum class Access { single, one_channel, four_channels };

template <Access access, typename Activation>
SIMT_KERNEL(ElementwiseTuning::kThreads)
bias_activation_kernel(BiasShape shape, Activation activation, const float* x, const float* __restrict__ bias,
                       float* y) {
  constexpr int kSize = access == Access::single ? 1 : kLanes;
  const std::int64_t items = shape.batch * shape.channels * shape.spatial / kSize;
  for (std::int64_t i = grid_thread(); i < items; i += grid_threads()) {
    const std::int64_t channel = i * kSize / shape.spatial % shape.channels;
    if constexpr (access == Access::single) {
      store(y + i, activation.forward(load(x + i) + (bias == nullptr ? 0.0f : load(bias + channel))));
    } else {
      Vec<float> b = {};
      if (bias != nullptr) {
        if constexpr (access == Access::four_channels)
          b = load_vec(bias + channel);
        else
          b.lane[0] = b.lane[1] = b.lane[2] = b.lane[3] = load(bias + channel);
      }
      Vec<float> v = load_vec(x + i * kSize);
      SIMT_UNROLL
      for (int lane = 0; lane < kSize; ++lane) v.lane[lane] = activation.forward(v.lane[lane] + b.lane[lane]);
      store_vec(y + i * kSize, v);
    }
  }
}

}  // namespace

void bias_activation_forward(const BiasShape& shape, const float* x, const float* bias, ActivationKind kind,
                             float slope, float* y, const Stream& stream) {
  constexpr const char* kName = "bias_activation_forward";
  require(shape.batch >= 0 && shape.channels >= 0 && shape.spatial >= 0, kName, "a size is negative");
  const std::int64_t size = shape.batch * shape.channels * shape.spatial;
  if (size == 0) return;
  const bool aligned = is_aligned(x) && is_aligned(y);
  const bool one_channel = aligned && shape.spatial % kLanes == 0;
  const bool four_channels =
      aligned && is_aligned(bias) && shape.spatial == 1 && shape.channels % kLanes == 0;
  with_activation(kind, slope, [&](auto activation) {
    using Activation = decltype(activation);
    launch(one_channel     ? bias_activation_kernel<Access::one_channel, Activation>
           : four_channels ? bias_activation_kernel<Access::four_channels, Activation>
                           : bias_activation_kernel<Access::single, Activation>,
           {.name = kName,
            .grid = strided_grid(one_channel || four_channels ? size / kLanes : size,
                                 ElementwiseTuning::kThreads, ElementwiseTuning::kBlocksPerSm, stream),
            .block = ElementwiseTuning::kThreads},
           stream, shape, activation, x, bias, y);
  });
}

}  // namespace bntrain::kernels
