#include "backend/cpu/block_op.hpp"

#include <cmath>

namespace bntrain::cpu {

BlockOp::BlockOp(Workspace& workspace, const PlanStep& step, bool after_conv)
    : Op(workspace, step), after_conv_(after_conv) {
  const Shape& out = w_.shape(step.output);
  Shape in = w_.shape(step.input);
  if (out.flat) in = {in.size(), 1, 1, true};  // behind a flatten every element is a channel
  shape_ = {in.channels, in.height, in.width,        out.height,  out.width,
            step.pool,   step.norm, step.activation, step.pooling};
  if (pools_raw(shape_)) pooled_ = FloatBuffer(out.size() * w_.capacity);
  if (!step.norm) return;
  const auto channels = static_cast<std::size_t>(in.channels);
  const auto cells = static_cast<std::size_t>(w_.groups()) * channels;
  moments_.resize(cells);
  sums_.resize(2 * cells);
  statistics_.resize(channels);
  for (std::vector<float>* v : {&mean_, &invstd_, &dbeta_mean_, &dgamma_mean_}) v->resize(channels);
}

float* BlockOp::raw(std::int64_t group) {
  if (!pools_raw(shape_)) return w_.value(step_.input, group);
  return pooled_.data() + group * w_.shape(step_.output).size() * w_.kernels.lanes;
}

NormCoefficients BlockOp::coefficients() {
  if (!step_.norm) return {};
  return {mean_.data(),          invstd_.data(),     parameter(step_.gamma),
          parameter(step_.beta), dbeta_mean_.data(), dgamma_mean_.data()};
}

ConvEpilogue BlockOp::epilogue(const Pass& pass, std::int64_t group) {
  Moments* moments = takes_batch_statistics(pass) ? moments_.data() + group * shape_.channels : nullptr;
  return {&shape_, gamma(), moments, raw(group), pass.valid(group)};
}

std::string BlockOp::variant(StepPass pass) const {
  if (pass == StepPass::forward) return reduces() && !after_conv_ ? "reduce+apply" : "apply";
  const bool input = !after_conv_ && step_.input != 0;
  if (!step_.norm) return input ? "input" : "";
  return input ? "sums+input" : "sums";
}

void BlockOp::forward(const Pass& pass) {
  if (!after_conv_ && (pools_raw(shape_) || takes_batch_statistics(pass)))
    w_.team.for_each(pass.groups, [&](std::int64_t group, int) {
      const ConvEpilogue e = epilogue(pass, group);
      w_.kernels.block_reduce(shape_, w_.value(step_.input, group), e.gamma, e.valid, e.moments, e.pooled);
    });
  if (step_.norm) takes_batch_statistics(pass) ? use_batch_statistics(pass) : use_running_statistics();
  const NormCoefficients norm = coefficients();
  w_.team.for_each(pass.groups, [&](std::int64_t group, int) {
    w_.kernels.block_forward(shape_, raw(group), norm, w_.value(step_.output, group));
  });
}

void BlockOp::use_batch_statistics(const Pass& pass) {
  const std::int64_t spatial = shape_.in_height * shape_.in_width;
  values_per_channel_ = pass.count * spatial;
  for (std::int64_t c = 0; c < shape_.channels; ++c) {
    ChannelStatistics s = merge_groups(&moments_[static_cast<std::size_t>(c)], shape_.channels, pass.groups,
                                       pass.count, w_.kernels.lanes, spatial);
    if (!std::isfinite(s.mean) || !std::isfinite(s.var))
      s = exact_statistics(w_.value(step_.input, 0) + c * spatial * w_.kernels.lanes,
                           shape_.channels * spatial * w_.kernels.lanes, pass.count, w_.kernels.lanes,
                           spatial);
    const auto i = static_cast<std::size_t>(c);
    statistics_[i] = s;
    mean_[i] = static_cast<float>(s.mean);
    invstd_[i] = inverse_deviation(s.var, w_.plan.batch_norm.eps);
  }
}

void BlockOp::use_running_statistics() {
  for (std::int64_t c = 0; c < shape_.channels; ++c) {
    const auto i = static_cast<std::size_t>(c);
    mean_[i] = w_.running.data()[step_.running_mean + c];
    invstd_[i] = inverse_deviation(w_.running.data()[step_.running_var + c], w_.plan.batch_norm.eps);
  }
}

void BlockOp::update_running() {
  const BatchNormOptions& options = w_.plan.batch_norm;
  for (std::int64_t c = 0; c < shape_.channels; ++c) {
    const ChannelStatistics& s = statistics_[static_cast<std::size_t>(c)];
    float& mean = w_.running.data()[step_.running_mean + c];
    float& var = w_.running.data()[step_.running_var + c];
    mean = moving_average(mean, s.mean, options.momentum);
    var = moving_average(var, recorded_variance(s.var, values_per_channel_, options.unbiased),
                         options.momentum);
  }
}

void BlockOp::backward(const Pass& pass) {
  if (step_.norm) {
    const NormCoefficients norm = coefficients();
    w_.team.for_each(pass.groups, [&](std::int64_t group, int) {
      w_.kernels.block_backward_sums(shape_, raw(group), w_.value(step_.output, group),
                                     w_.gradient(step_.output, group), norm,
                                     &sums_[static_cast<std::size_t>(2 * group * shape_.channels)]);
    });
    for (std::int64_t c = 0; c < shape_.channels; ++c) {
      double dbeta = 0;
      double dgamma = 0;
      for (std::int64_t g = 0; g < pass.groups; ++g) {
        const double* cell = &sums_[static_cast<std::size_t>(2 * (g * shape_.channels + c))];
        dbeta += cell[0];
        dgamma += cell[1];
      }
      parameter_gradient(step_.beta)[c] = static_cast<float>(dbeta);
      parameter_gradient(step_.gamma)[c] = static_cast<float>(dgamma);
      dbeta_mean_[static_cast<std::size_t>(c)] =
          static_cast<float>(dbeta / static_cast<double>(values_per_channel_));
      dgamma_mean_[static_cast<std::size_t>(c)] =
          static_cast<float>(dgamma / static_cast<double>(values_per_channel_));
    }
  }
  if (after_conv_ || step_.input == 0) return;
  const GradientLayout dense{shape_.in_height * shape_.in_width, shape_.in_width, 1, 0};
  w_.team.for_each(pass.groups, [&](std::int64_t group, int) {
    backward_input(pass, group, dense, w_.gradient(step_.input, group));
  });
}

void BlockOp::backward_input(const Pass& pass, std::int64_t group, const GradientLayout& layout, float* out) {
  w_.kernels.block_backward_input(shape_, w_.value(step_.input, group), raw(group),
                                  w_.value(step_.output, group), w_.gradient(step_.output, group),
                                  coefficients(), pass.valid(group), layout, out);
}

}  // namespace bntrain::cpu
