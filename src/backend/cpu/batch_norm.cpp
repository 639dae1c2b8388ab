// The public batch norm functions: the trainer's kernels, one channel at a time, behind contiguous tensors.
#include "bntrain/batch_norm.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/cpu/isa.hpp"
#include "backend/cpu/memory.hpp"
#include "backend/cpu/ops/block.hpp"
#include "bntrain/error.hpp"

namespace bntrain {
namespace {

using cpu::ChannelStatistics;
using cpu::FloatBuffer;
using cpu::GradientLayout;
using cpu::Kernels;
using cpu::Moments;
using cpu::NormCoefficients;

/// Carries one channel between (batch, channels, spatial) and the kernels' [group][spatial][lane].
struct Channels {
  const Kernels& kernels;
  BatchNormShape shape;
  std::int64_t groups, group_floats;
  cpu::BlockShape block;
  GradientLayout layout;

  Channels(const BatchNormShape& s, CpuIsa isa)
      : kernels(cpu::select_kernels(isa)),
        shape(s),
        groups((s.batch + kernels.lanes - 1) / kernels.lanes),
        group_floats(s.spatial * kernels.lanes),
        block{1, 1, s.spatial, 1, s.spatial, 1, true, false, {}},
        layout{s.spatial, s.spatial, 1, 0} {}

  FloatBuffer plane() const { return FloatBuffer(groups * group_floats); }
  int valid(std::int64_t group) const {
    return static_cast<int>(std::min<std::int64_t>(kernels.lanes, shape.batch - group * kernels.lanes));
  }
  /// The lanes beyond the batch get `rest`, which must be harmless: a backward pass wants 0 for dy, and for x
  /// the mean, as (0 - mean) * inv_std can be infinite and that times 0 NaN.
  void read(const float* tensor, std::int64_t channel, float rest, FloatBuffer& plane) const {
    if (shape.batch % kernels.lanes != 0)
      std::fill_n(plane.data() + (groups - 1) * group_floats, group_floats, rest);
    visit(channel, [&](std::int64_t at, std::int64_t in_plane) { plane.data()[in_plane] = tensor[at]; });
  }
  void write(const FloatBuffer& plane, std::int64_t channel, float* tensor) const {
    visit(channel, [&](std::int64_t at, std::int64_t in_plane) { tensor[at] = plane.data()[in_plane]; });
  }
  template <class Visitor>
  void visit(std::int64_t channel, const Visitor& visitor) const {
    for (std::int64_t n = 0; n < shape.batch; ++n)
      for (std::int64_t i = 0; i < shape.spatial; ++i)
        visitor((n * shape.channels + channel) * shape.spatial + i,
                n / kernels.lanes * group_floats + i * kernels.lanes + n % kernels.lanes);
  }
};

/// True when there is nothing to do.
bool check(const BatchNormShape& shape, std::initializer_list<const void*> needed) {
  BNTRAIN_EXPECTS(shape.batch >= 0 && shape.channels >= 0 && shape.spatial >= 0);
  if (shape.batch == 0 || shape.channels == 0 || shape.spatial == 0) return true;
  for (const void* pointer : needed) BNTRAIN_EXPECTS(pointer != nullptr);
  return false;
}

float to_float(double v) {
  return v > static_cast<double>(std::numeric_limits<float>::max()) ? std::numeric_limits<float>::infinity()
                                                                    : static_cast<float>(v);
}

ChannelStatistics statistics(const Channels& c, const FloatBuffer& x, const BatchNormShape& shape,
                             std::vector<Moments>& moments) {
  for (std::int64_t g = 0; g < c.groups; ++g)
    c.kernels.block_reduce(c.block, x.data() + g * c.group_floats, nullptr, c.valid(g),
                           &moments[static_cast<std::size_t>(g)], nullptr);
  const ChannelStatistics s =
      cpu::merge_groups(moments.data(), 1, c.groups, shape.batch, c.kernels.lanes, shape.spatial);
  if (std::isfinite(s.mean) && std::isfinite(s.var)) return s;
  return cpu::exact_statistics(x.data(), c.group_floats, shape.batch, c.kernels.lanes, shape.spatial);
}

void normalize(const Channels& c, std::int64_t channel, const NormCoefficients& norm, FloatBuffer& plane,
               float* y) {
  for (std::int64_t g = 0; g < c.groups; ++g) {
    float* group = plane.data() + g * c.group_floats;
    c.kernels.block_forward(c.block, group, norm, group);
  }
  c.write(plane, channel, y);
}

/// dbeta and dgamma of one channel.
struct GradientSums {
  double dbeta = 0, dgamma = 0;
};

GradientSums gradient_sums(const Channels& c, const FloatBuffer& x, const FloatBuffer& dy,
                           const NormCoefficients& norm) {
  GradientSums total;
  for (std::int64_t g = 0; g < c.groups; ++g) {
    double sums[2];
    const float* group = x.data() + g * c.group_floats;
    c.kernels.block_backward_sums(c.block, group, group, dy.data() + g * c.group_floats, norm, sums);
    total.dbeta += sums[0];
    total.dgamma += sums[1];
  }
  return total;
}

}  // namespace

void batch_norm_forward_train(const float* x, const float* gamma, const float* beta,
                              const BatchNormShape& shape, const BatchNormOptions& options, float* y,
                              float* mean, float* var, float* running_mean, float* running_var, CpuIsa isa) {
  if (check(shape, {x, gamma, beta, y, mean, var})) return;
  BNTRAIN_EXPECTS((running_mean == nullptr) == (running_var == nullptr));
  const Channels c(shape, isa);
  FloatBuffer plane = c.plane();
  std::vector<Moments> moments(static_cast<std::size_t>(c.groups));
  for (std::int64_t channel = 0; channel < shape.channels; ++channel) {
    c.read(x, channel, 0, plane);
    const ChannelStatistics s = statistics(c, plane, shape, moments);
    mean[channel] = static_cast<float>(s.mean);
    mean[shape.channels + channel] = cpu::low_part(s);
    var[channel] = to_float(s.var);
    const float inv_std = cpu::inv_std_of(s.var, options.eps);
    const float shifted =
        cpu::shifted_beta(beta[channel], mean[shape.channels + channel], gamma[channel] * inv_std);
    normalize(c, channel, {mean + channel, &inv_std, gamma + channel, &shifted, nullptr, nullptr}, plane, y);
    if (running_mean == nullptr) continue;
    running_mean[channel] = cpu::moving_average(running_mean[channel], s.mean, options.momentum);
    running_var[channel] = cpu::moving_average(
        running_var[channel], cpu::recorded_variance(s.var, shape.batch * shape.spatial, options.unbiased),
        options.momentum);
  }
}

void batch_norm_backward(const float* x, const float* dy, const float* gamma, const float* mean,
                         const float* var, const BatchNormShape& shape, const BatchNormOptions& options,
                         float* dx, float* dgamma, float* dbeta, CpuIsa isa) {
  if (check(shape, {x, dy, gamma, mean, var, dx, dgamma, dbeta})) return;
  const Channels c(shape, isa);
  FloatBuffer x_plane = c.plane();
  FloatBuffer dy_plane = c.plane();
  const auto n = static_cast<double>(shape.batch * shape.spatial);
  for (std::int64_t channel = 0; channel < shape.channels; ++channel) {
    c.read(x, channel, mean[channel], x_plane);
    c.read(dy, channel, 0, dy_plane);
    const float inv_std = cpu::inv_std_of(var[channel], options.eps);
    NormCoefficients norm{mean + channel, &inv_std, gamma + channel, nullptr, nullptr, nullptr};
    GradientSums sums = gradient_sums(c, x_plane, dy_plane, norm);
    const float low = mean[shape.channels + channel];
    sums.dgamma = cpu::exact_dgamma(sums.dgamma, sums.dbeta, low, inv_std);
    dbeta[channel] = static_cast<float>(sums.dbeta);
    dgamma[channel] = static_cast<float>(sums.dgamma);
    const float dbeta_mean = cpu::shifted_dbeta_mean(sums.dbeta, sums.dgamma, n, low, inv_std);
    const float dgamma_mean = static_cast<float>(sums.dgamma / n);
    norm.dbeta_mean = &dbeta_mean;
    norm.dgamma_mean = &dgamma_mean;
    for (std::int64_t g = 0; g < c.groups; ++g) {
      float* group = x_plane.data() + g * c.group_floats;
      c.kernels.block_backward_input(c.block, group, group, group, dy_plane.data() + g * c.group_floats, norm,
                                     c.valid(g), c.layout, group);
    }
    c.write(x_plane, channel, dx);
  }
}

void batch_norm_inference(const float* x, const float* gamma, const float* beta, const float* running_mean,
                          const float* running_var, const BatchNormShape& shape,
                          const BatchNormOptions& options, float* y, CpuIsa isa) {
  if (check(shape, {x, gamma, beta, running_mean, running_var, y})) return;
  const Channels c(shape, isa);
  FloatBuffer plane = c.plane();
  for (std::int64_t channel = 0; channel < shape.channels; ++channel) {
    c.read(x, channel, 0, plane);
    const float inv_std = cpu::inv_std_of(running_var[channel], options.eps);
    normalize(c, channel,
              {running_mean + channel, &inv_std, gamma + channel, beta + channel, nullptr, nullptr}, plane,
              y);
  }
}

void batch_norm_inference_backward(const float* x, const float* dy, const float* gamma,
                                   const float* running_mean, const float* running_var,
                                   const BatchNormShape& shape, const BatchNormOptions& options, float* dx,
                                   float* dgamma, float* dbeta, CpuIsa isa) {
  if (check(shape, {x, dy, gamma, running_mean, running_var, dx, dgamma, dbeta})) return;
  const Channels c(shape, isa);
  FloatBuffer x_plane = c.plane();
  FloatBuffer dy_plane = c.plane();
  for (std::int64_t channel = 0; channel < shape.channels; ++channel) {
    c.read(x, channel, running_mean[channel], x_plane);
    c.read(dy, channel, 0, dy_plane);
    const float inv_std = cpu::inv_std_of(running_var[channel], options.eps);
    const GradientSums sums = gradient_sums(
        c, x_plane, dy_plane, {running_mean + channel, &inv_std, gamma + channel, nullptr, nullptr, nullptr});
    dbeta[channel] = static_cast<float>(sums.dbeta);
    dgamma[channel] = static_cast<float>(sums.dgamma);
    // What is left of the forward pass when nothing is subtracted or added; x plays no part, NaN or not.
    const float zero = 0;
    normalize(c, channel, {&zero, &inv_std, gamma + channel, &zero, nullptr, nullptr}, dy_plane, dx);
  }
}

}  // namespace bntrain
