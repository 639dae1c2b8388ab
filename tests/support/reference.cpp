#include "support/reference.hpp"

#include <cfloat>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numbers>

namespace bntrain::reference {
namespace {

std::size_t at(std::int64_t index) {
  return static_cast<std::size_t>(index);
}
Values zeros(std::int64_t count) {
  return Values(at(count), 0.0);
}

/// Calls visit(x index, weight index, y index) for every product of a convolution.
template <typename Visit>
void for_each_product(const ConvShape& s, Visit visit) {
  for (std::int64_t n = 0; n < s.batch; ++n)
    for (std::int64_t o = 0; o < s.out_channels; ++o)
      for (std::int64_t i = 0; i < s.out_height(); ++i)
        for (std::int64_t j = 0; j < s.out_width(); ++j)
          for (std::int64_t c = 0; c < s.in_channels; ++c)
            for (std::int64_t k = 0; k < s.kernel; ++k)
              for (std::int64_t l = 0; l < s.kernel; ++l) {
                const std::int64_t row = i * s.stride + k - s.padding;
                const std::int64_t column = j * s.stride + l - s.padding;
                if (row < 0 || row >= s.height || column < 0 || column >= s.width) continue;
                visit(at(((n * s.in_channels + c) * s.height + row) * s.width + column),
                      at(((o * s.in_channels + c) * s.kernel + k) * s.kernel + l),
                      at(((n * s.out_channels + o) * s.out_height() + i) * s.out_width() + j));
              }
}

/// Calls visit(channel, index) for every element of (batch, channels, spatial).
template <typename Visit>
void for_each_element(const NormShape& s, Visit visit) {
  for (std::int64_t n = 0; n < s.batch; ++n)
    for (std::int64_t c = 0; c < s.channels; ++c)
      for (std::int64_t i = 0; i < s.spatial; ++i) visit(at(c), at((n * s.channels + c) * s.spatial + i));
}

double inverse_std(double var, double eps) {
  return var + eps == 0 ? 0.0 : 1.0 / std::sqrt(var + eps);
}

struct Statistics {
  Values mean, var;
};

Statistics batch_statistics(const Values& x, const NormShape& shape) {
  const double count = static_cast<double>(shape.batch * shape.spatial);
  Statistics s{zeros(shape.channels), zeros(shape.channels)};
  for_each_element(shape, [&](std::size_t c, std::size_t i) { s.mean[c] += x[i]; });
  for (double& mean : s.mean) mean /= count;
  for_each_element(
      shape, [&](std::size_t c, std::size_t i) { s.var[c] += (x[i] - s.mean[c]) * (x[i] - s.mean[c]); });
  for (double& var : s.var) {
    var /= count;
    if (var > FLT_MAX) var = std::numeric_limits<double>::infinity();
  }
  return s;
}

}  // namespace

Values widen(std::span<const float> values) {
  return Values(values.begin(), values.end());
}

std::vector<float> narrow(const Values& values) {
  std::vector<float> result;
  for (const double value : values) result.push_back(static_cast<float>(value));
  return result;
}

Values conv_forward(const Values& x, const Values& weight, const Values& bias, const ConvShape& shape) {
  const std::int64_t plane = shape.out_height() * shape.out_width();
  Values y = zeros(shape.batch * shape.out_channels * plane);
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = bias[i / at(plane) % at(shape.out_channels)];
  for_each_product(shape,
                   [&](std::size_t in, std::size_t w, std::size_t out) { y[out] += x[in] * weight[w]; });
  return y;
}

Gradients conv_backward(const Values& x, const Values& weight, const Values& dy, const ConvShape& shape) {
  const std::int64_t plane = shape.out_height() * shape.out_width();
  Gradients g{Values(x.size()), Values(weight.size()), zeros(shape.out_channels)};
  for_each_product(shape, [&](std::size_t in, std::size_t w, std::size_t out) {
    g.x[in] += dy[out] * weight[w];
    g.weight[w] += dy[out] * x[in];
  });
  for (std::size_t i = 0; i < dy.size(); ++i) g.bias[i / at(plane) % at(shape.out_channels)] += dy[i];
  return g;
}

Values linear_forward(const Values& x, const Values& weight, const Values& bias, const LinearShape& shape) {
  Values y = zeros(shape.batch * shape.outputs);
  for (std::int64_t n = 0; n < shape.batch; ++n)
    for (std::int64_t o = 0; o < shape.outputs; ++o) {
      double sum = bias[at(o)];
      for (std::int64_t i = 0; i < shape.inputs; ++i)
        sum += x[at(n * shape.inputs + i)] * weight[at(o * shape.inputs + i)];
      y[at(n * shape.outputs + o)] = sum;
    }
  return y;
}

Gradients linear_backward(const Values& x, const Values& weight, const Values& dy, const LinearShape& shape) {
  Gradients g{Values(x.size()), Values(weight.size()), zeros(shape.outputs)};
  for (std::int64_t n = 0; n < shape.batch; ++n)
    for (std::int64_t o = 0; o < shape.outputs; ++o) {
      const double d = dy[at(n * shape.outputs + o)];
      g.bias[at(o)] += d;
      for (std::int64_t i = 0; i < shape.inputs; ++i) {
        g.x[at(n * shape.inputs + i)] += d * weight[at(o * shape.inputs + i)];
        g.weight[at(o * shape.inputs + i)] += d * x[at(n * shape.inputs + i)];
      }
    }
  return g;
}

NormForward norm_forward(const Values& x, const Values& gamma, const Values& beta, const NormShape& shape,
                         double eps) {
  if (x.empty()) return {};
  Statistics s = batch_statistics(x, shape);
  Values y = norm_inference(x, gamma, beta, s.mean, s.var, shape, eps);
  return {std::move(y), std::move(s.mean), std::move(s.var)};
}

void update_running(Values& running_mean, Values& running_var, const NormForward& batch,
                    const NormShape& shape, double momentum, bool unbiased) {
  const double count = static_cast<double>(shape.batch * shape.spatial);
  const double correction = unbiased && count > 1 ? count / (count - 1) : 1.0;
  for (std::size_t c = 0; c < batch.mean.size(); ++c) {
    running_mean[c] = momentum * running_mean[c] + (1 - momentum) * batch.mean[c];
    running_var[c] = momentum * running_var[c] + (1 - momentum) * correction * batch.var[c];
  }
}

NormGradients norm_backward(const Values& x, const Values& dy, const Values& gamma, const NormShape& shape,
                            double eps) {
  const double count = static_cast<double>(shape.batch * shape.spatial);
  const Statistics s = batch_statistics(x, shape);
  // The statistics as constants give gamma and beta their gradients; what is missing in x are the two sums.
  NormGradients g = norm_inference_backward(x, dy, gamma, s.mean, s.var, shape, eps);
  for_each_element(shape, [&](std::size_t c, std::size_t i) {
    const double xhat = (x[i] - s.mean[c]) * inverse_std(s.var[c], eps);
    g.x[i] -= gamma[c] * inverse_std(s.var[c], eps) * (g.beta[c] + xhat * g.gamma[c]) / count;
  });
  return g;
}

Values norm_inference(const Values& x, const Values& gamma, const Values& beta, const Values& running_mean,
                      const Values& running_var, const NormShape& shape, double eps) {
  Values y(x.size());
  for_each_element(shape, [&](std::size_t c, std::size_t i) {
    y[i] = (x[i] - running_mean[c]) * inverse_std(running_var[c], eps) * gamma[c] + beta[c];
  });
  return y;
}

NormGradients norm_inference_backward(const Values& x, const Values& dy, const Values& gamma,
                                      const Values& running_mean, const Values& running_var,
                                      const NormShape& shape, double eps) {
  NormGradients g{Values(x.size()), zeros(shape.channels), zeros(shape.channels)};
  for_each_element(shape, [&](std::size_t c, std::size_t i) {
    const double scale = inverse_std(running_var[c], eps);
    g.x[i] = gamma[c] * scale * dy[i];
    g.gamma[c] += dy[i] * (x[i] - running_mean[c]) * scale;
    g.beta[c] += dy[i];
  });
  return g;
}

// The comparisons below are written so that NaN, for which each is false, passes through.
Values relu_forward(const Values& x) {
  Values y = x;
  for (double& value : y)
    if (value <= 0) value = 0;
  return y;
}

Values relu_backward(const Values& x, const Values& dy) {
  Values dx = dy;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (x[i] <= 0) dx[i] = 0;
  return dx;
}

Values sigmoid_forward(const Values& x) {
  Values y = x;
  for (double& value : y) value = 1 / (1 + std::exp(-value));
  return y;
}

Values sigmoid_backward(const Values& x, const Values& dy) {
  Values dx = dy;
  // The other factor is the sigmoid of -x: 1 - y would cancel.
  for (std::size_t i = 0; i < x.size(); ++i) dx[i] *= 1 / (1 + std::exp(-x[i])) / (1 + std::exp(x[i]));
  return dx;
}

Values gelu_forward(const Values& x) {
  Values y = x;
  // erfc keeps the small values for negative x, where 1 + erf would cancel.
  for (double& value : y) value *= std::erfc(-value / std::numbers::sqrt2) / 2;
  return y;
}

Values gelu_backward(const Values& x, const Values& dy) {
  Values dx = dy;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double density = std::exp(-x[i] * x[i] / 2) / std::sqrt(2 * std::numbers::pi);
    dx[i] *= std::erfc(-x[i] / std::numbers::sqrt2) / 2 + x[i] * density;
  }
  return dx;
}

Values silu_forward(const Values& x) {
  Values y = x;
  for (double& value : y) value /= 1 + std::exp(-value);
  return y;
}

Values silu_backward(const Values& x, const Values& dy) {
  Values dx = dy;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double sigmoid = 1 / (1 + std::exp(-x[i]));
    dx[i] *= sigmoid * (1 + x[i] / (1 + std::exp(x[i])));
  }
  return dx;
}

Values leaky_relu_forward(const Values& x, double slope) {
  return leaky_relu_backward(x, x, slope);
}

Values leaky_relu_backward(const Values& x, const Values& dy, double slope) {
  Values dx = dy;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (x[i] <= 0) dx[i] *= slope;
  return dx;
}

PoolForward maxpool_forward(const Values& x, const PoolShape& shape) {
  PoolForward result;
  for (std::int64_t plane = 0; plane < shape.batch * shape.channels; ++plane)
    for (std::int64_t i = 0; i < shape.out_height(); ++i)
      for (std::int64_t j = 0; j < shape.out_width(); ++j) {
        std::int64_t best = -1;
        for (std::int64_t k = 0; k < shape.window; ++k)
          for (std::int64_t l = 0; l < shape.window; ++l) {
            const std::int64_t index =
                (plane * shape.height + i * shape.window + k) * shape.width + j * shape.window + l;
            const bool first_nan = best >= 0 && std::isnan(x[at(index)]) && !std::isnan(x[at(best)]);
            if (best < 0 || first_nan || x[at(index)] > x[at(best)]) best = index;
          }
        result.y.push_back(x[at(best)]);
        result.argmax.push_back(best);
      }
  return result;
}

Values maxpool_backward(const PoolForward& forward, const Values& dy, const PoolShape& shape) {
  Values dx = zeros(shape.batch * shape.channels * shape.height * shape.width);
  for (std::size_t i = 0; i < dy.size(); ++i) dx[at(forward.argmax[i])] += dy[i];
  return dx;
}

Values avgpool_forward(const Values& x, const PoolShape& shape) {
  Values y = zeros(shape.batch * shape.channels * shape.out_height() * shape.out_width());
  for (std::int64_t plane = 0; plane < shape.batch * shape.channels; ++plane)
    for (std::int64_t i = 0; i < shape.out_height() * shape.window; ++i)
      for (std::int64_t j = 0; j < shape.out_width() * shape.window; ++j)
        y[at((plane * shape.out_height() + i / shape.window) * shape.out_width() + j / shape.window)] +=
            x[at((plane * shape.height + i) * shape.width + j)] /
            static_cast<double>(shape.window * shape.window);
  return y;
}

Values avgpool_backward(const Values& dy, const PoolShape& shape) {
  Values dx = zeros(shape.batch * shape.channels * shape.height * shape.width);
  for (std::int64_t plane = 0; plane < shape.batch * shape.channels; ++plane)
    for (std::int64_t i = 0; i < shape.out_height() * shape.window; ++i)
      for (std::int64_t j = 0; j < shape.out_width() * shape.window; ++j)
        dx[at((plane * shape.height + i) * shape.width + j)] =
            dy[at((plane * shape.out_height() + i / shape.window) * shape.out_width() + j / shape.window)] /
            static_cast<double>(shape.window * shape.window);
  return dx;
}

Loss softmax_cross_entropy(const Values& logits, const std::vector<std::int64_t>& labels,
                           std::int64_t classes) {
  Loss loss;
  loss.gradient = Values(logits.size());
  for (std::size_t n = 0; n < labels.size(); ++n) {
    const double* row = logits.data() + n * at(classes);
    std::int64_t best = 0;
    for (std::int64_t k = 1; k < classes; ++k)
      if (row[k] > row[best]) best = k;
    double sum = 0;
    for (std::int64_t k = 0; k < classes; ++k) sum += std::exp(row[k] - row[best]);
    loss.sum += std::log(sum) + row[best] - row[labels[n]];
    loss.correct += best == labels[n] ? 1 : 0;
    for (std::int64_t k = 0; k < classes; ++k)
      loss.gradient[n * at(classes) + at(k)] =
          std::exp(row[k] - row[best]) / sum - (k == labels[n] ? 1.0 : 0.0);
  }
  return loss;
}

void sgd_step(Values& weight, const Values& gradient, Values& buffer, const SgdOptions& options) {
  const bool first = buffer.empty();
  buffer.resize(weight.size());
  for (std::size_t i = 0; i < weight.size(); ++i) {
    const double g = gradient[i] * options.gradient_scale + options.weight_decay * weight[i];
    buffer[i] = first ? g : options.momentum * buffer[i] + g;
    weight[i] -= options.lr * (options.nesterov ? g + options.momentum * buffer[i] : buffer[i]);
  }
}

void adamw_step(Values& weight, const Values& gradient, AdamWState& state, const AdamWOptions& options) {
  ++state.steps;
  state.first.resize(weight.size());
  state.second.resize(weight.size());
  const double steps = static_cast<double>(state.steps);
  for (std::size_t i = 0; i < weight.size(); ++i) {
    const double g = gradient[i] * options.gradient_scale;
    double& first = state.first[i];
    double& second = state.second[i];
    first = options.beta1 * first + (1 - options.beta1) * g;
    second = options.beta2 * second + (1 - options.beta2) * g * g;
    const double mean = first / (1 - std::pow(options.beta1, steps));
    const double square = second / (1 - std::pow(options.beta2, steps));
    weight[i] -= options.lr * options.weight_decay * weight[i];
    weight[i] -= options.lr * mean / (std::sqrt(square) + options.eps);
  }
}

}  // namespace bntrain::reference
