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
#include <cmath>

#include "kernels/kernels.hpp"
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

struct Prediction {
  float logit;
  int index;
};

/// The larger logit, the first of equal ones. NaN is never larger and is detected separately.
struct Better {
  SIMT_DEVICE Prediction operator()(Prediction a, Prediction b) const {
    return b.logit > a.logit || (b.logit == a.logit && b.index < a.index) ? b : a;
  }
};

/// The loss of one image, and 1 if it is classified correctly, else 0; in every lane. Writes the gradient
/// unless that is null.
SIMT_DEVICE Pair<double> image_loss(int classes, const float* z, std::int64_t label, double scale,
                                    float* gradient) {
  Prediction best{-INFINITY, INT_MAX};
  bool nan = false;
  for (int k = lane_index(); k < classes; k += kWarpSize) {
    const float logit = load(z + k);
    nan = nan || logit != logit;
    best = Better{}(best, {logit, k});
  }
  nan = vote_any(nan);
  best = warp_reduce(best, Better{});
  const double top = nan ? NAN : best.logit;
  double sum = 0;
  for (int k = lane_index(); k < classes; k += kWarpSize) sum += std::exp(load(z + k) - top);
  sum = warp_sum(sum);
  if (gradient != nullptr)
    for (int k = lane_index(); k < classes; k += kWarpSize)
      store(gradient + k,
            static_cast<float>((std::exp(load(z + k) - top) / sum - (k == label ? 1.0 : 0.0)) * scale));
  const double of_label = label < classes ? load(z + label) : NAN;
  // The difference first: added to a large logit the logarithm would be lost.
  return {std::log(sum) + (top - of_label), !nan && best.index == label ? 1.0 : 0.0};
}

/// Writes the metrics of the batch and advances the state. For one thread.
SIMT_DEVICE void record(Pair<double> sum, std::int64_t batch, BatchState* state, const LossOutput& output) {
  const bool stopped = output.halted != nullptr && *output.halted != 0;
  const bool finite = std::isfinite(sum.first);
  if (output.halted != nullptr && !finite) *output.halted = 1;
  if (output.finite_steps != nullptr && finite && !stopped) *output.finite_steps += 1;
  if (state->step >= 0 && state->step < output.slots)
    output.metrics[state->step] = {stopped ? NAN : sum.first,
                                   stopped ? 0 : static_cast<std::int64_t>(sum.second), batch};
  state->first += batch;
  state->step += 1;
}

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
    const Pair<double> loss =
        image_loss(classes, logits + n * classes, load(labels + image), scale,
                   output.gradient != nullptr ? output.gradient + n * classes : nullptr);
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
