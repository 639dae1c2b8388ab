// Softmax cross-entropy, its gradient and the batch's metrics in one kernel.
//
// Maths (Bridle 1990), logits z: [batch, classes], label l[n] = labels[order[first + n]], t = max_k z[n, k]:
//   s = sum_k exp(z[n, k] - t);  loss[n] = log(s) + (t - z[n, l])
//   gradient[n, k] = (exp(z[n, k] - t) / s - (k == l)) * gradient_scale
// Subtracting t keeps every exponential within [0, 1], however large the logits.
//
// Contract: softmax_cross_entropy.hpp. A warp takes an image, all in double: one rounding at the end, as on
// the CPU. The last block to finish adds the losses up in the order of a tree over the batch, whoever it is.
// Bytes moved: 8 * batch * classes.
#include <climits>

#include "kernels/kernels.hpp"
#include "kernels/loss/image_loss.cuh"
#include "kernels/simt/launch.hpp"
#include "kernels/simt/reduce.cuh"

namespace bntrain::kernels {
namespace {

using namespace simt;

struct SoftmaxTuning {
  static constexpr int kThreads = 256;
  static constexpr int kWarps = kThreads / kWarpSize;
  static constexpr int kBlocksPerSm = 8;
};

/// No __restrict__ on what one block writes and another reads: such reads may be cached.
SIMT_KERNEL(SoftmaxTuning::kThreads)
softmax_kernel(std::int64_t batch, int classes, const float* __restrict__ logits,
               const std::uint8_t* __restrict__ labels, const std::int64_t* __restrict__ order,
               BatchState* state, LossOutput output, Pair<double>* losses, unsigned* arrivals) {
  SIMT_SHARED(unsigned, flag, 1);
  SIMT_SHARED(Pair<double>, scratch, kMaxWarps);
  const std::int64_t first = load(&state->first);
  const double scale = load(&state->gradient_scale);
  const std::int64_t warps = static_cast<std::int64_t>(grid_size()) * SoftmaxTuning::kWarps;
  for (std::int64_t n = static_cast<std::int64_t>(block_index()) * SoftmaxTuning::kWarps + warp_index();
       n < batch; n += warps) {
    const std::int64_t image = order != nullptr ? load(order + first + n) : first + n;
    const Pair<double> loss = image_loss(
        classes, [&](int k) { return load(logits + n * classes + k); }, load(labels + image), scale,
        output.gradient != nullptr, [&](int k, float g) { store(output.gradient + n * classes + k, g); });
    if (lane_index() == 0) store(losses + n, loss);
  }
  if (!is_last_block(arrivals, static_cast<unsigned>(grid_size()), flag)) return;
  Pair<double> sum{0, 0};
  for (std::int64_t n = thread_index(); n < batch; n += block_size()) sum = Add{}(sum, load(losses + n));
  sum = block_sum(sum, scratch);
  if (thread_index() == 0) record(sum, batch, state, output);
}

}  // namespace

std::int64_t softmax_cross_entropy_workspace(std::int64_t batch) {
  return batch * static_cast<std::int64_t>(sizeof(Pair<double>));
}

void softmax_cross_entropy(std::int64_t batch, std::int64_t classes, const float* logits,
                           const std::uint8_t* labels, const std::int64_t* order, BatchState* state,
                           const LossOutput& output, void* workspace, unsigned* arrivals,
                           const Stream& stream) {
  constexpr const char* kName = "softmax_cross_entropy";
  require(batch >= 0, kName, "the batch size is negative");
  require(classes >= 1 && classes <= INT_MAX / 2, kName, "the number of classes is not in [1, 2^30)");
  if (batch == 0) return;
  require(workspace != nullptr && is_aligned(workspace), kName,
          "the workspace is null or not 16-byte aligned");
  launch(softmax_kernel,
         {.name = kName,
          .grid = strided_grid(batch, SoftmaxTuning::kWarps, SoftmaxTuning::kBlocksPerSm, stream),
          .block = SoftmaxTuning::kThreads},
         stream, batch, static_cast<int>(classes), logits, labels, order, state, output,
         static_cast<Pair<double>*>(workspace), arrivals);
}

}  // namespace bntrain::kernels
