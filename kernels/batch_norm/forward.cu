// Batch norm forward: in training by the batch's own statistics, in inference by the moving ones.
//
// Maths. Ioffe and Szegedy 2015, arXiv 1502.03167, algorithms 1 and 2; per channel of x, (batch, channels,
// spatial) or (batch, spatial, channels):
//   y = (x - mean) * (gamma * invstd) + beta,  invstd = 1 / sqrt(var + eps)
//   running = momentum * running + (1 - momentum) * batch statistic
// Not x * a + b with a = gamma * invstd, b = beta - mean * a: where the mean is large against the deviation,
// both terms are large and their rounding stays.
//
// Contract: batch_norm.hpp. Here are the launches: one where the channels are kept on chip
// (on_chip_forward.cu), else the three of statistics.cu for each part of the channels.
// Bytes moved, for S bytes of tensor: training see variant.cu, inference 2 S.
#include "kernels/batch_norm/launch.cuh"
#include "kernels/batch_norm/moments.cuh"
#include "kernels/batch_norm/placement.hpp"

namespace bntrain::kernels {

void batch_norm_forward(const NormShape& shape, const NormOptions& options, const float* x,
                        const float* gamma, const float* beta, float* y, float* mean, float* var,
                        float* invstd, float* running_mean, float* running_var, void* workspace,
                        const Stream& stream, NormVariant variant) {
  constexpr const char* kName = "batch_norm_forward";
  if (!norm_work(kName, shape, {x, gamma, beta, y, mean, var, invstd, workspace})) return;
  check_running(kName, running_mean, running_var);
  require(simt::is_aligned(workspace), kName, "the workspace is not on 16 bytes");
  const Walk whole = norm_walk<float>(shape);
  auto* parts = static_cast<ChannelMoments*>(workspace);
  const StatisticsOutput output{options, mean, var, invstd, running_mean, running_var};
  const Choice choice = choose(kName, whole, forward_footprint(whole), variant, stream);
  if (choice.placement.teams > 0) {
    forward_on_chip(whole, choice.placement, x, gamma, beta, y, output, workspace, stream);
    return;
  }
  for_groups(whole, choice.groups, [&](const Walk& walk) {
    chunk_moments(walk, x, parts, stream);
    finalize(walk.chunks, walk.channels, walk.first_channel(), walk.end_channel(), parts, output, stream);
    normalize("batch_norm_apply", walk, x, mean, {invstd, false, 0}, gamma, beta, y, stream);
  });
}

void batch_norm_inference(const NormShape& shape, double eps, const float* x, const float* gamma,
                          const float* beta, const float* running_mean, const float* running_var, float* y,
                          const Stream& stream) {
  constexpr const char* kName = "batch_norm_inference";
  if (!norm_work(kName, shape, {x, gamma, beta, running_mean, running_var, y})) return;
  normalize(kName, norm_walk<float>(shape), x, running_mean, {running_var, true, static_cast<float>(eps)},
            gamma, beta, y, stream);
}

}  // namespace bntrain::kernels
