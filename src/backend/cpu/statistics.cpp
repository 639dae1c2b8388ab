// Batch norm's numbers of one channel, in double precision.
#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/cpu/ops/block.hpp"

namespace bntrain::cpu {
namespace {

constexpr double kLargest = static_cast<double>(std::numeric_limits<float>::max());

}  // namespace

ChannelStatistics merge_groups(const Moments* moments, std::int64_t stride, std::int64_t groups,
                               std::int64_t images, int lanes, std::int64_t spatial) {
  const auto images_of = [&](std::int64_t group) {
    return static_cast<double>(std::min<std::int64_t>(lanes, images - group * lanes));
  };
  double mean = 0;
  for (std::int64_t g = 0; g < groups; ++g) mean += moments[g * stride].mean * images_of(g);
  mean /= static_cast<double>(images);
  double m2 = 0;
  for (std::int64_t g = 0; g < groups; ++g) {
    const double d = moments[g * stride].mean - mean;
    m2 += moments[g * stride].m2 + d * d * images_of(g) * static_cast<double>(spatial);
  }
  return statistics_of({mean, m2}, static_cast<double>(images) * static_cast<double>(spatial));
}

ChannelStatistics statistics_of(const Moments& moments, double n) {
  const double var = moments.m2 / n;
  // A constant channel leaves the rounding of the merges, of either sign. Numbers that differ, even one in
  // 1e10 by its last bit, have a larger variance than this.
  return {moments.mean, var < 1e-26 * moments.mean * moments.mean ? 0 : var};
}

ChannelStatistics exact_statistics(const float* x, std::int64_t group_stride, std::int64_t images, int lanes,
                                   std::int64_t spatial) {
  const auto sum = [&](const auto& term) {
    double total = 0;
    for (std::int64_t n = 0; n < images; ++n)
      for (std::int64_t s = 0; s < spatial; ++s)
        total += term(static_cast<double>(x[n / lanes * group_stride + s * lanes + n % lanes]));
    return total / (static_cast<double>(images) * static_cast<double>(spatial));
  };
  const double mean = sum([](double v) { return v; });
  return {mean, sum([mean](double v) { return (v - mean) * (v - mean); })};
}

float low_part(const ChannelStatistics& s) {
  return s.var == 0 ? 0 : static_cast<float>(s.mean - static_cast<double>(static_cast<float>(s.mean)));
}

float shifted_beta(float beta, float low, float scale) {
  return scale == 0 ? beta : static_cast<float>(beta - static_cast<double>(low) * scale);
}

double exact_dgamma(double dgamma, double dbeta, float low, float inv_std) {
  return dgamma - static_cast<double>(low) * inv_std * dbeta;
}

float shifted_dbeta_mean(double dbeta, double dgamma, double n, float low, float inv_std) {
  return static_cast<float>((dbeta - static_cast<double>(low) * inv_std * dgamma) / n);
}

float inv_std_of(double var, double eps) {
  if (var > kLargest || var + eps == 0) return 0;
  return static_cast<float>(1.0 / std::sqrt(var + eps));
}

float moving_average(float running, double statistic, double momentum) {
  const double old_term = momentum == 0 ? 0 : momentum * static_cast<double>(running);
  const double new_term = momentum == 1 ? 0 : (1 - momentum) * statistic;
  const double value = old_term + new_term;
  if (std::abs(value) > kLargest)
    return std::copysign(std::numeric_limits<float>::infinity(), static_cast<float>(value > 0 ? 1 : -1));
  return static_cast<float>(value);
}

double recorded_variance(double var, std::int64_t n, bool unbiased) {
  // What normalised with y = beta is recorded as infinite even if its share in the average would be finite.
  if (var > kLargest) return std::numeric_limits<double>::infinity();
  return unbiased && n > 1 ? var * (static_cast<double>(n) / static_cast<double>(n - 1)) : var;
}

}  // namespace bntrain::cpu
