// Batch norm forward: in training by the statistics of the batch, in inference by the running statistics.
//
// Maths. Ioffe and Szegedy 2015, arXiv 1502.03167, algorithms 1 and 2; per channel of x, (batch, channels,
// spatial) or (batch, spatial, channels):
//   y = (x - mean) * (gamma * inv_std) + beta,  inv_std = 1 / sqrt(var + eps)
//   running = momentum * running + (1 - momentum) * batch statistic
// Not x * a + b with a = gamma * inv_std, b = beta - mean * a: where the mean is large against the deviation,
// both terms are large and so are their rounding errors.
//
// Contract: batch_norm.hpp. Launches: one where the channels are kept on chip (resident_forward.cuh,
// streamed_forward.cu) or the variant is naive (naive.cu), else the three of statistics.cu. Bytes moved, for
// S bytes of tensor: training: variant.cu; inference: 2 S.
#include "kernels/batch_norm/launch.cuh"
#include "kernels/batch_norm/moments.cuh"
#include "kernels/batch_norm/placement.hpp"
#include "kernels/batch_norm/streamed_pass.cuh"

namespace bntrain::kernels {

void batch_norm_forward(const NormShape& shape, const NormOptions& options, const float* x,
                        const float* gamma, const float* beta, float* y, float* mean, float* var,
                        float* inv_std, float* running_mean, float* running_var, void* workspace,
                        const Stream& stream, NormVariant variant) {
  constexpr const char* kName = "batch_norm_forward";
  if (!norm_work(kName, shape, {x, gamma, beta, y, mean, var, inv_std, workspace})) return;
  check_running(kName, running_mean, running_var);
  require(simt::is_aligned(workspace), kName, "the workspace is not 16-byte aligned");
  const StatisticsOutput output{options, shape.channels, mean, var, inv_std, running_mean, running_var};
  const Choice choice = choose(kName, NormPass::forward, shape, variant, stream);
  if (choice.variant == NormVariant::naive) {
    naive_forward(shape, x, gamma, beta, y, output, stream);
    return;
  }
  if (choice.variant == NormVariant::resident) {
    resident_forward(choice.resident, choice.tuning, shape.batch * shape.spatial, x, gamma, beta, y, output,
                     stream);
    return;
  }
  if (choice.variant == NormVariant::streamed && simt::is_aligned(x) && simt::is_aligned(y)) {
    const auto count = static_cast<double>(shape.batch * shape.spatial);
    streamed::forward(choice.streamed, {x, gamma, beta, y, output, count, 1 / count}, workspace, stream);
    return;
  }
  const IterationSpace space = norm_space<float>(shape);
  auto* parts = static_cast<ChannelMoments*>(workspace);
  chunk_moments(space, x, parts, stream);
  finalize(space.chunks, space.channels, parts, output, stream);
  normalize("batch_norm_apply", space, x, two_floats(mean, shape.channels), {inv_std, false, 0}, gamma, beta,
            y, stream);
}

void batch_norm_inference(const NormShape& shape, double eps, const float* x, const float* gamma,
                          const float* beta, const float* running_mean, const float* running_var, float* y,
                          const Stream& stream) {
  constexpr const char* kName = "batch_norm_inference";
  if (!norm_work(kName, shape, {x, gamma, beta, running_mean, running_var, y})) return;
  normalize(kName, norm_space<float>(shape), x, {running_mean, nullptr},
            {running_var, true, static_cast<float>(eps)}, gamma, beta, y, stream);
}

}  // namespace bntrain::kernels
