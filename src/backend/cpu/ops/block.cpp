#include "backend/cpu/ops/block.hpp"

#include <algorithm>
#include <cmath>

namespace bntrain::cpu {

BlockOp::BlockOp(Workspace& workspace, const PlanOp& op) : Op(workspace, op) {
  const Shape &in = op.in, &out = op.out;
  shape_ = {in.channels, in.height,     in.width,           out.height,   out.width,
            op.pool,     op.has_norm(), op.takes_average(), op.activation};
  if (pools_raw(shape_)) w_.reserve(pooled_, out.size() * w_.capacity);
  if (!op.has_norm()) return;
  const auto channels = static_cast<std::size_t>(in.channels);
  const auto cells = static_cast<std::size_t>(w_.groups()) * channels;
  moments_.resize(cells);
  sums_.resize(2 * cells);
  statistics_.resize(channels);
  for (std::vector<float>* v : {&mean_, &mean_low_, &inv_std_, &beta_, &dbeta_mean_, &dgamma_mean_})
    v->resize(channels);
}

void BlockOp::find_parameters() {
  if (!op_.has_norm()) return;
  gamma_ = parameter(op_.gamma);
  trained_beta_ = parameter(op_.beta);
  if (!w_.plan.has_gradients()) return;
  dgamma_ = parameter_gradient(op_.gamma);
  dbeta_ = parameter_gradient(op_.beta);
}

float* BlockOp::raw(std::int64_t group) {
  if (!pools_raw(shape_)) return w_.value(op_.input(), group);
  return pooled_.data() + group * op_.out.size() * w_.kernels.lanes;
}

NormCoefficients BlockOp::coefficients(std::int64_t first) {
  if (!op_.has_norm()) return {};
  return {mean_.data() + first, inv_std_.data() + first,    gamma_ + first,
          beta_.data() + first, dbeta_mean_.data() + first, dgamma_mean_.data() + first};
}

ConvEpilogue BlockOp::epilogue(const Pass& pass, std::int64_t group) {
  Moments* moments = takes_batch_statistics(pass) ? moments_.data() + group * shape_.channels : nullptr;
  return {&shape_, gamma_, moments, raw(group), pass.valid(group)};
}

std::string BlockOp::variant(StepPass pass) const {
  if (pass == StepPass::forward) return reduces() && !after_conv() ? "reduce+apply" : "apply";
  const bool input = stores_input_gradient();
  if (!op_.has_norm()) return input ? "input" : "";
  return input ? "sums+input" : "sums";
}

void BlockOp::forward(const Pass& pass) {
  if (of_features() && takes_batch_statistics(pass)) return forward_features(pass);
  if (!after_conv() && (pools_raw(shape_) || takes_batch_statistics(pass)))
    for_each_part(pass.groups, shape_.channels, cost_of_channel(),
                  [&](std::int64_t group, const ChannelRange& channels, int) {
                    const std::int64_t c = channels.first;
                    const ConvEpilogue e = epilogue(pass, group);
                    w_.kernels.block_reduce(shape_of(channels), input(group) + in_offset(c),
                                            e.gamma != nullptr ? e.gamma + c : nullptr, e.valid,
                                            e.moments != nullptr ? e.moments + c : nullptr,
                                            e.pooled + out_offset(c));
                  });
  if (op_.has_norm()) takes_batch_statistics(pass) ? use_batch_statistics(pass) : use_running_statistics();
  for_each_part(pass.groups, shape_.channels, cost_of_channel(),
                [&](std::int64_t group, const ChannelRange& channels, int) {
                  const std::int64_t c = channels.first;
                  w_.kernels.block_forward(shape_of(channels), raw(group) + raw_offset(c), coefficients(c),
                                           output(group) + out_offset(c));
                });
}

BlockShape BlockOp::shape_of(const ChannelRange& channels) const {
  BlockShape part = shape_;
  part.channels = channels.last - channels.first;
  return part;
}

void BlockOp::use_batch_statistics(const Pass& pass) {
  const std::int64_t spatial = shape_.in_height * shape_.in_width;
  values_per_channel_ = pass.count * spatial;
  for (std::int64_t c = 0; c < shape_.channels; ++c)
    set_statistics(pass, c,
                   merge_groups(&moments_[static_cast<std::size_t>(c)], shape_.channels, pass.groups,
                                pass.count, w_.kernels.lanes, spatial));
}

void BlockOp::set_statistics(const Pass& pass, std::int64_t channel, ChannelStatistics s) {
  const std::int64_t spatial = shape_.in_height * shape_.in_width;
  if (!std::isfinite(s.mean) || !std::isfinite(s.var))
    s = exact_statistics(input(0) + channel * spatial * w_.kernels.lanes,
                         shape_.channels * spatial * w_.kernels.lanes, pass.count, w_.kernels.lanes, spatial);
  statistics_[static_cast<std::size_t>(channel)] = s;
  set_coefficients(channel, s);
}

void BlockOp::use_running_statistics() {
  for (std::int64_t c = 0; c < shape_.channels; ++c) {
    set_coefficients(c, {w_.running.data()[op_.running_mean + c], w_.running.data()[op_.running_var + c]});
  }
}

void BlockOp::set_coefficients(std::int64_t channel, const ChannelStatistics& s) {
  const auto i = static_cast<std::size_t>(channel);
  mean_[i] = static_cast<float>(s.mean);
  mean_low_[i] = low_part(s);
  inv_std_[i] = inv_std_of(s.var, w_.plan.batch_norm.eps);
  beta_[i] = shifted_beta(trained_beta_[channel], mean_low_[i], gamma_[channel] * inv_std_[i]);
}

void BlockOp::update_running() {
  const BatchNormOptions& options = w_.plan.batch_norm;
  for (std::int64_t c = 0; c < shape_.channels; ++c) {
    const ChannelStatistics& s = statistics_[static_cast<std::size_t>(c)];
    float& mean = w_.running.data()[op_.running_mean + c];
    float& var = w_.running.data()[op_.running_var + c];
    mean = moving_average(mean, s.mean, options.momentum);
    var = moving_average(var, recorded_variance(s.var, values_per_channel_, options.unbiased),
                         options.momentum);
  }
}

void BlockOp::backward(const Pass& pass) {
  if (of_features()) return backward_features(pass);
  if (op_.has_norm()) {
    for_each_part(pass.groups, shape_.channels, cost_of_channel(),
                  [&](std::int64_t group, const ChannelRange& channels, int) {
                    const std::int64_t c = channels.first, out = out_offset(c);
                    w_.kernels.block_backward_sums(
                        shape_of(channels), raw(group) + raw_offset(c), output(group) + out,
                        output_gradient(group) + out, coefficients(c),
                        &sums_[static_cast<std::size_t>(2 * (group * shape_.channels + c))]);
                  });
    for (std::int64_t c = 0; c < shape_.channels; ++c) {
      double dbeta = 0;
      double dgamma = 0;
      for (std::int64_t g = 0; g < pass.groups; ++g) {
        const double* cell = &sums_[static_cast<std::size_t>(2 * (g * shape_.channels + c))];
        dbeta += cell[0];
        dgamma += cell[1];
      }
      set_gradients(c, dbeta, dgamma);
    }
  }
  if (!stores_input_gradient()) return;
  const GradientLayout dense{shape_.in_height * shape_.in_width, shape_.in_width, 1, 0};
  for_each_part(pass.groups, shape_.channels, cost_of_channel(),
                [&](std::int64_t group, const ChannelRange& channels, int thread) {
                  const std::int64_t plane = shape_.in_height * shape_.in_width,
                                     first = channels.first * plane;
                  with_input_gradient(group, thread, first, (channels.last - channels.first) * plane,
                                      [&](float* dx) { backward_input(pass, group, channels, dense, dx); });
                });
}

void BlockOp::set_gradients(std::int64_t channel, double dbeta, double dgamma) {
  const auto i = static_cast<std::size_t>(channel);
  const auto n = static_cast<double>(values_per_channel_);
  dgamma = exact_dgamma(dgamma, dbeta, mean_low_[i], inv_std_[i]);
  dbeta_[channel] = static_cast<float>(dbeta);
  dgamma_[channel] = static_cast<float>(dgamma);
  dbeta_mean_[i] = shifted_dbeta_mean(dbeta, dgamma, n, mean_low_[i], inv_std_[i]);
  dgamma_mean_[i] = static_cast<float>(dgamma / n);
}

template <class Work>
void BlockOp::for_each_features(const Work& work) {
  constexpr std::int64_t kFeatures = 16;  // 16 KiB of each tensor in a batch of 256
  w_.team.for_each((shape_.channels + kFeatures - 1) / kFeatures, [&](std::int64_t task, int thread) {
    const std::int64_t first = task * kFeatures, last = std::min(first + kFeatures, shape_.channels);
    work(shape_of({first, last}), first, last, thread);
  });
}

void BlockOp::forward_features(const Pass& pass) {
  values_per_channel_ = pass.count;
  for_each_features([&](const BlockShape& part, std::int64_t first, std::int64_t last, int) {
    w_.kernels.feature_moments(shape_.channels, pass.count, first, last, input(0), moments_.data());
    for (std::int64_t c = first; c < last; ++c)
      set_statistics(pass, c,
                     statistics_of(moments_[static_cast<std::size_t>(c)], static_cast<double>(pass.count)));
    for (std::int64_t group = 0; group < pass.groups; ++group)
      w_.kernels.block_forward(part, input(group) + first * w_.kernels.lanes, coefficients(first),
                               output(group) + first * w_.kernels.lanes);
  });
}

void BlockOp::backward_features(const Pass& pass) {
  for_each_features([&](const BlockShape& part, std::int64_t first, std::int64_t last, int thread) {
    w_.kernels.feature_backward_sums(shape_, pass.groups, first, last, input(0), output(0),
                                     output_gradient(0), coefficients(), sums_.data());
    for (std::int64_t c = first; c < last; ++c)
      set_gradients(c, sums_[static_cast<std::size_t>(2 * c)], sums_[static_cast<std::size_t>(2 * c + 1)]);
    if (!stores_input_gradient()) return;
    for (std::int64_t group = 0; group < pass.groups; ++group)
      with_input_gradient(group, thread, first, part.channels, [&](float* dx) {
        const std::int64_t offset = first * w_.kernels.lanes;
        w_.kernels.block_backward_input(part, input(group) + offset, input(group) + offset,
                                        output(group) + offset, output_gradient(group) + offset,
                                        coefficients(first), pass.valid(group), {1, 1, 1, 0}, dx);
      });
  });
}

bool BlockOp::stores_input_gradient() const {
  return has_input_gradient() && !(after_conv() && w_.plan.op(op_.conv_before).gradient_rebuilt);
}

void BlockOp::backward_input(const Pass& pass, std::int64_t group, const ChannelRange& channels,
                             const GradientLayout& layout, float* out) {
  const std::int64_t c = channels.first;
  w_.kernels.block_backward_input(shape_of(channels), input(group) + in_offset(c), raw(group) + raw_offset(c),
                                  output(group) + out_offset(c), output_gradient(group) + out_offset(c),
                                  coefficients(c), pass.valid(group), layout, out);
}

}  // namespace bntrain::cpu
