// Batch norm, activation and pooling in one.
#pragma once

#include <string>
#include <vector>

#include "backend/cpu/ops/op.hpp"

namespace bntrain::cpu {

/// Batch statistics of one channel, and what they become.
struct ChannelStatistics {
  double mean = 0, var = 0;  ///< var is biased
};

/// Merges the moments of `groups` groups (stride `stride` apart): mean of means by count, then Chan's
/// difference form.
ChannelStatistics merge_groups(const Moments* moments, std::int64_t stride, std::int64_t groups,
                               std::int64_t images, int lanes, std::int64_t spatial);

/// From the moments of all n values together.
ChannelStatistics statistics_of(const Moments& moments, double n);

/// Two passes in double precision over [group][spatial][lane], `group_stride` floats apart: for the channel
/// whose float32 sums left the finite numbers although its values did not.
ChannelStatistics exact_statistics(const float* x, std::int64_t group_stride, std::int64_t images, int lanes,
                                   std::int64_t spatial);

/// What (float)mean lacks, without which y would be wrong by up to 6e-8 * |mean| / std. 0 for a constant
/// channel, whose mean is a float32.
float low_part(const ChannelStatistics& statistics);

/// 1 / sqrt(var + eps); 0 where that is degenerate: var + eps = 0, or a variance beyond float32. NaN stays
/// NaN.
float inv_std_of(double var, double eps);

/// momentum * running + (1 - momentum) * statistic; a weight of zero ignores its term, also when that is
/// infinite.
float moving_average(float running, double statistic, double momentum);

/// The variance that the moving average receives, of n values.
double recorded_variance(double var, std::int64_t n, bool unbiased);

/// The kernels subtract the mean as one float. What its low part adds to y and to the gradients is the same
/// for all elements of a channel, so it goes into the coefficients and sums: y = (x - mean) * scale + shifted
/// beta, with low = low_part(mean) and scale = gamma * inv_std.
float shifted_beta(float beta, float low, float scale);
/// sum(dy * xhat), from the kernels' sum, which has the low part left out.
double exact_dgamma(double dgamma, double dbeta, float low, float inv_std);
/// dbeta / n with what the low part adds to the gradient of the input.
float shifted_dbeta_mean(double dbeta, double dgamma, double n, float low, float inv_std);

class BlockOp : public Op {
 public:
  /// After its convolution (conv_before) it leaves the reduction to that one's epilogue, and the gradient of
  /// its input, group by group, to that one's backward pass.
  BlockOp(Workspace& workspace, const PlanOp& op);

  void find_parameters() override;
  void forward(const Pass& pass) override;
  void backward(const Pass& pass) override;
  std::string variant(StepPass pass) const override;

  /// Whether training needs a pass over the whole input before y can be computed.
  bool reduces() const { return op_.has_norm() || pools_raw(shape_); }
  /// What the convolution before it must leave for this op.
  ConvEpilogue epilogue(const Pass& pass, std::int64_t group);
  /// The gradient of this op's input for these channels of one group, laid out as asked.
  void backward_input(const Pass& pass, std::int64_t group, const ChannelRange& channels,
                      const GradientLayout& layout, float* out);
  /// Of the last pass that computed them.
  const std::vector<ChannelStatistics>& statistics() const { return statistics_; }
  /// Moves the running statistics; once per applied update.
  void update_running();

 private:
  bool takes_batch_statistics(const Pass& pass) const {
    return op_.has_norm() && op_.first_layer >= pass.by_batch_from;
  }
  void use_batch_statistics(const Pass& pass);
  /// Whether this is the batch norm of a fully connected layer. Its work is divided by channels: all groups
  /// of a few of them stay in the first-level cache from the statistics to the result.
  bool of_features() const {
    return op_.has_norm() && !after_conv() && shape_.pool == 1 && shape_.in_height * shape_.in_width == 1;
  }
  template <class Work>
  void for_each_features(const Work& work);
  void forward_features(const Pass& pass);
  void backward_features(const Pass& pass);
  /// From what the kernels found.
  void set_statistics(const Pass& pass, std::int64_t channel, ChannelStatistics s);
  void set_gradients(std::int64_t channel, double dbeta, double dgamma);
  void use_running_statistics();
  BlockShape shape_of(const ChannelRange& channels) const;
  /// As for_each_part() wants it: a pass makes some eight operations a pixel.
  std::int64_t cost_of_channel() const { return 8 * shape_.in_height * shape_.in_width; }
  /// Floats of a group before that channel, of the input and of the output.
  std::int64_t in_offset(std::int64_t channel) const {
    return channel * shape_.in_height * shape_.in_width * w_.kernels.lanes;
  }
  std::int64_t raw_offset(std::int64_t channel) const {
    return pools_raw(shape_) ? out_offset(channel) : in_offset(channel);
  }
  std::int64_t out_offset(std::int64_t channel) const {
    return channel * shape_.out_height * shape_.out_width * w_.kernels.lanes;
  }
  void set_coefficients(std::int64_t channel, const ChannelStatistics& s);
  NormCoefficients coefficients(std::int64_t first_channel = 0);
  bool stores_input_gradient() const;
  bool after_conv() const { return op_.conv_before >= 0; }
  /// The argmax values of max pooling, before the batch norm: the input itself where there is none.
  float* raw(std::int64_t group);

  BlockShape shape_{};
  const float *gamma_ = nullptr, *trained_beta_ = nullptr;  ///< [channel]; null without norm
  float *dgamma_ = nullptr, *dbeta_ = nullptr;
  FloatBuffer pooled_;            ///< [group][channel][out_height][out_width][lane], only with max pooling
  std::vector<Moments> moments_;  ///< [group][channel]
  std::vector<double> sums_;      ///< [group][channel]{sum(dy), sum(dy * xhat)}
  std::vector<ChannelStatistics> statistics_;
  std::vector<float> mean_, mean_low_, inv_std_, beta_, dbeta_mean_, dgamma_mean_;  ///< [channel]
  std::int64_t values_per_channel_ = 0;
};

}  // namespace bntrain::cpu
