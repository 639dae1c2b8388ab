// The running statistics apart from the forward pass: updated after the loss, read before inference.
//
// Maths (Ioffe and Szegedy 2015, arXiv 1502.03167, section 3.1), per channel:
//   running = momentum * running + (1 - momentum) * batch statistic;  inv_std = 1 / sqrt(running_var + eps)
// `shift` is the bias that the convolution before the norm did not add: a constant added to a channel changes
// its mean and nothing else in batch norm.
//
// Contract: batch_norm.hpp. One thread per channel. Bytes moved: up to 32 per channel.
#include "kernels/batch_norm/statistics_output.cuh"

#include "kernels/simt/launch.hpp"

namespace bntrain::kernels {
namespace {

using namespace simt;

struct RunningTuning {
  static constexpr int kThreads = 128;
  static constexpr int kBlocksPerSm = 8;
};

SIMT_KERNEL(RunningTuning::kThreads)
update_kernel(std::int64_t channels, double count, NormOptions options, const float* __restrict__ mean,
              const float* __restrict__ var, const float* __restrict__ shift,
              const unsigned* __restrict__ halted, float* __restrict__ running_mean,
              float* __restrict__ running_var) {
  if (halted != nullptr && *halted != 0) return;
  for (std::int64_t c = grid_thread(); c < channels; c += grid_threads()) {
    const double batch_mean = static_cast<double>(mean[c]) + mean[channels + c];
    const double center = shift != nullptr ? batch_mean + shift[c] : batch_mean;
    running_mean[c] = running_average(running_mean[c], center, options.momentum);
    running_var[c] =
        running_average(running_var[c], running_variance_input(var[c], count, options), options.momentum);
  }
}

SIMT_KERNEL(RunningTuning::kThreads)
inference_kernel(std::int64_t channels, double eps, const float* __restrict__ running_mean,
                 const float* __restrict__ running_var, const float* __restrict__ shift,
                 float* __restrict__ mean, float* __restrict__ inv_std) {
  for (std::int64_t c = grid_thread(); c < channels; c += grid_threads()) {
    const double center = running_mean[c];
    const Mean split = split_mean(shift != nullptr ? center - shift[c] : center);
    mean[c] = split.high;
    mean[channels + c] = split.low;
    inv_std[c] = inv_std_of(running_var[c], eps);
  }
}

LaunchConfig config(const char* name, std::int64_t channels, const Stream& stream) {
  return {.name = name,
          .grid = strided_grid(channels, RunningTuning::kThreads, RunningTuning::kBlocksPerSm, stream),
          .block = RunningTuning::kThreads};
}

}  // namespace

void update_running_statistics(std::int64_t channels, std::int64_t count, const NormOptions& options,
                               const float* mean, const float* var, const float* shift,
                               const unsigned* halted, float* running_mean, float* running_var,
                               const Stream& stream) {
  constexpr const char* kName = "update_running_statistics";
  require(channels >= 0 && count >= 0, kName, "a size is negative");
  if (channels == 0 || count == 0) return;
  launch(update_kernel, config(kName, channels, stream), stream, channels, static_cast<double>(count),
         options, mean, var, shift, halted, running_mean, running_var);
}

void inference_statistics(std::int64_t channels, double eps, const float* running_mean,
                          const float* running_var, const float* shift, float* mean, float* inv_std,
                          const Stream& stream) {
  constexpr const char* kName = "inference_statistics";
  require(channels >= 0, kName, "the number of channels is negative");
  if (channels == 0) return;
  launch(inference_kernel, config(kName, channels, stream), stream, channels, eps, running_mean, running_var,
         shift, mean, inv_std);
}

}  // namespace bntrain::kernels
