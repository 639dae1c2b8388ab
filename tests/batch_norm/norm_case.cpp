#include "batch_norm/norm_case.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "support/tolerance.hpp"

namespace bntrain::test {
namespace {

using support::kFloatEps;

/// One channel as the reference sees it.
struct Channel {
  double mean = 0, var = 0, inv_std = 0;
  double mean_error = 0;                                  ///< of the mean as the sum of its two parts
  double low = 0;                                         ///< most that the mean's low part can be
  double var_error = 0;                                   ///< of the float32 variance
  double inv_std_error = 0;                               ///< relative
  double sum = 0, sum_xhat = 0, size = 0, size_xhat = 0;  ///< sums of dy and dy * xhat, and of their sizes
  double sum_error = 0, sum_xhat_error = 0;
};

double inv_std_of(double var, double eps) {
  return var + eps == 0 ? 0 : 1 / std::sqrt(var + eps);
}

/// Fills in y, dx, dgamma and dbeta: one rounding of spacing eps wherever a float32 is made, the errors of
/// the statistics, and those of the two sums (float32 over at most `chunk` terms, longer ones in double):
///   xhat:  |inv_std| * mean_error + |xhat| * (2 eps + inv_std_error)
///   y:     |gamma| * error(xhat) + 2 eps * (|gamma * xhat| + |gamma| * inv_std * low + |beta|)
///   dbeta: bound(chunk, sum |dy|)
///   dgamma: bound(chunk, sum |dy * (xhat + low * inv_std)|) + sum |dy * xhat| * (2 eps + inv_std_error)
///           + inv_std * mean_error * |sum dy|, the mean's error being the same in all terms
///   dx:    |gamma| * inv_std times the errors of the three terms
void set_bounds(const NormCase& c, std::int64_t chunk, std::vector<Channel>& channels, Expected& e) {
  const auto xhat = [&](std::size_t i) {
    const Channel& k = channels[c.channel_of(i)];
    return k.inv_std == 0 ? 0 : (c.x[i] - k.mean) * k.inv_std;
  };
  for (std::size_t i = 0; i < c.x.size(); ++i) {
    Channel& k = channels[c.channel_of(i)];
    k.sum += c.dy[i];
    k.size += std::abs(c.dy[i]);
    k.sum_xhat += c.dy[i] * xhat(i);
    k.size_xhat += std::abs(c.dy[i] * xhat(i));
  }
  for (Channel& k : channels) {
    k.sum_error = support::bound(kFloatEps, chunk, k.size);
    k.sum_xhat_error = support::bound(kFloatEps, chunk, k.size_xhat + k.inv_std * k.low * k.size) +
                       k.size_xhat * (2 * kFloatEps + k.inv_std_error) +
                       k.inv_std * k.mean_error * std::abs(k.sum);
    e.bounds.mean.push_back(k.mean_error + k.low);
    e.bounds.var.push_back(k.var_error);
    e.bounds.dbeta.push_back(k.sum_error);
    e.bounds.dgamma.push_back(k.sum_xhat_error);
  }
  const auto n = static_cast<double>(c.values_per_channel());
  for (std::size_t i = 0; i < c.x.size(); ++i) {
    const Channel& k = channels[c.channel_of(i)];
    const double gamma = std::abs(c.gamma[c.channel_of(i)]);
    const double beta = std::abs(c.beta[c.channel_of(i)]);
    const double h = std::abs(xhat(i));
    const double h_error = k.inv_std * k.mean_error + h * (2 * kFloatEps + k.inv_std_error);
    e.bounds.y.push_back(gamma * h_error + 2 * kFloatEps * (gamma * (h + k.inv_std * k.low) + beta));
    const double terms = std::abs(c.dy[i]) + std::abs(k.sum) / n + h * std::abs(k.sum_xhat) / n;
    e.bounds.dx.push_back(gamma * k.inv_std *
                          (terms * (4 * kFloatEps + k.inv_std_error) +
                           (k.sum_error + h * k.sum_xhat_error + h_error * std::abs(k.sum_xhat)) / n));
  }
}

}  // namespace

Floats numbers(std::size_t count, std::uint32_t seed) {
  Floats values(count);
  std::uint32_t state = seed * 2654435761u + 1;
  for (float& value : values) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<float>(state >> 11) / (1 << 20) - 1;
  }
  return values;
}

NormCase make_case(const BatchNormShape& shape, double mean, double deviation) {
  NormCase c;
  c.shape = shape;
  c.x = numbers(static_cast<std::size_t>(shape.batch * shape.channels * shape.spatial), 1);
  c.dy = numbers(c.x.size(), 2);
  c.gamma = numbers(c.channels(), 3);
  c.beta = numbers(c.channels(), 4);
  c.running_mean = numbers(c.channels(), 5);
  c.running_var = numbers(c.channels(), 6);
  for (float& gamma : c.gamma) gamma += gamma < 0 ? -0.5f : 0.5f;
  for (float& var : c.running_var) var += 1.25f;
  for (std::size_t i = 0; i < c.x.size(); ++i) {
    const double channel = static_cast<double>(c.channel_of(i) % 7);
    // A uniform number in [-1, 1) has the deviation 1 / sqrt(3).
    c.x[i] = static_cast<float>(mean * (1 + channel / 8) + c.x[i] * deviation * std::sqrt(3.0));
    c.dy[i] += 0.25f;
  }
  return c;
}

NormCase one_channel(const Floats& x) {
  NormCase c = make_case({static_cast<std::int64_t>(x.size()), 1, 1});
  c.x = x;
  c.gamma = {1.5f};
  c.beta = {0.25f};
  return c;
}

// Statistics in two passes. The first gives the mean of up to 128 values in float32, off by `center`. The
// second adds up the differences from it, so that the mean is corrected to the error of that sum, and the
// squares of the differences, which contain center^2. Squares may underflow.
Expected expect_training(const NormCase& c) {
  const Values x = reference::widen(c.x), gamma = reference::widen(c.gamma);
  reference::NormForward forward =
      norm_forward(x, gamma, reference::widen(c.beta), c.reference_shape(), c.options.eps);
  reference::NormGradients gradients =
      norm_backward(x, reference::widen(c.dy), gamma, c.reference_shape(), c.options.eps);
  const std::int64_t chunk = std::min<std::int64_t>(c.values_per_channel(), 128);
  std::vector<Channel> channels(c.channels());
  for (std::size_t i = 0; i < channels.size(); ++i) {
    Channel& k = channels[i];
    k.mean = forward.mean[i];
    k.var = forward.var[i];
    k.inv_std = inv_std_of(k.var, c.options.eps);
    const double center = support::bound(kFloatEps, chunk, std::sqrt(k.mean * k.mean + k.var));
    // A variance beyond float32 sends the channel to double precision.
    k.mean_error = std::isinf(k.var) ? kFloatEps * support::largest(x)
                                     : support::bound(kFloatEps, chunk, std::sqrt(k.var));
    k.low = kFloatEps * std::abs(k.mean);
    k.var_error =
        support::bound(kFloatEps, chunk, k.var + center * center) + std::numeric_limits<float>::denorm_min();
    k.inv_std_error = kFloatEps + (k.inv_std == 0 ? 0 : 0.5 * k.var_error / (k.var + c.options.eps));
  }
  Expected e{forward.y, forward.mean, forward.var, gradients.x, gradients.gamma, gradients.beta, {}};
  set_bounds(c, chunk, channels, e);
  return e;
}

Expected expect_inference(const NormCase& c) {
  const Values x = reference::widen(c.x), gamma = reference::widen(c.gamma);
  const Values mean = reference::widen(c.running_mean), var = reference::widen(c.running_var);
  reference::NormGradients gradients = norm_inference_backward(x, reference::widen(c.dy), gamma, mean, var,
                                                               c.reference_shape(), c.options.eps);
  std::vector<Channel> channels(c.channels());
  for (std::size_t i = 0; i < channels.size(); ++i) {
    channels[i].mean = mean[i];
    channels[i].var = var[i];
    channels[i].inv_std = inv_std_of(var[i], c.options.eps);
    channels[i].inv_std_error = kFloatEps;
  }
  Expected e{
      norm_inference(x, gamma, reference::widen(c.beta), mean, var, c.reference_shape(), c.options.eps),
      mean,
      var,
      gradients.x,
      gradients.gamma,
      gradients.beta,
      {}};
  set_bounds(c, std::min<std::int64_t>(c.values_per_channel(), 128), channels, e);
  return e;
}

testing::AssertionResult same_bits(const Floats& a, const Floats& b) {
  if (a.size() != b.size()) return testing::AssertionFailure() << a.size() << " and " << b.size();
  for (std::size_t i = 0; i < a.size(); ++i)
    if (std::bit_cast<std::uint32_t>(a[i]) != std::bit_cast<std::uint32_t>(b[i]))
      return testing::AssertionFailure() << "[" << i << "]: " << a[i] << " and " << b[i];
  return testing::AssertionSuccess();
}

}  // namespace bntrain::test
