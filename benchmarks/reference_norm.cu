// Batch norm, ReLU and max pooling by their formulas, in double precision, one block per channel; nothing of
// the kernels that are judged. Slow, and fast enough: a few milliseconds for the largest shape.
//
// Maths, per channel over its n elements, xhat = (x - mean) * inv_std:
//   v = xhat * gamma + beta,  y = v, or the maximum of max(v, 0) over each window
//   dx = gamma * inv_std * (g - dbeta / n - xhat * dgamma / n),  dbeta = sum g,  dgamma = sum g * xhat
#include "benchmarks/reference_norm.hpp"

#include <cmath>

#include "kernels/simt/launch.hpp"
#include "kernels/simt/simt.hpp"

namespace bntrain::benchmarks {
namespace {

using namespace simt;

constexpr int kThreads = 256;
constexpr int kBlocksPerSm = 4;
constexpr double kNearZero = 1e-5;

/// A case, as kernels take it.
struct Geometry {
  std::int64_t batch, channels, height, width;
  std::int64_t window, out_height, out_width;
  bool relu, channels_last;
};

/// A pixel of a channel, or one of its windows.
struct Place {
  std::int64_t image, row, column;
};
SIMT_DEVICE Place place_of(std::int64_t i, std::int64_t height, std::int64_t width) {
  return {i / (height * width), i / width % height, i % width};
}

SIMT_DEVICE std::int64_t offset_of(const Geometry& c, std::int64_t channel, Place p, std::int64_t height,
                                   std::int64_t width) {
  if (c.channels_last) return ((p.image * height + p.row) * width + p.column) * c.channels + channel;
  return ((p.image * c.channels + channel) * height + p.row) * width + p.column;
}

SIMT_DEVICE std::int64_t input_offset(const Geometry& c, std::int64_t channel, Place p) {
  return offset_of(c, channel, p, c.height, c.width);
}
SIMT_DEVICE std::int64_t output_offset(const Geometry& c, std::int64_t channel, Place p) {
  return offset_of(c, channel, p, c.out_height, c.out_width);
}

/// The sum of the threads' values.
SIMT_DEVICE double sum_over_block(double value, Shared<double> values) {
  values[thread_index()] = value;
  block_sync();
  if (thread_index() == 0) {
    double sum = 0;
    for (int i = 0; i < kThreads; ++i) sum += values[i];
    values[0] = sum;
  }
  block_sync();
  const double sum = values[0];
  block_sync();  // before the next sum is written
  return sum;
}

struct ChannelFormula {
  double mean, inv_std, gamma, beta;
  SIMT_DEVICE double xhat(double x) const { return (x - mean) * inv_std; }
  SIMT_DEVICE double value(double x) const { return xhat(x) * gamma + beta; }
};

/// The first pixel of a window, a single one without pooling, whose value is the largest.
struct Maximum {
  std::int64_t offset;
  double value;
};
SIMT_DEVICE Maximum maximum_of(const Geometry& c, const ChannelFormula& f, std::int64_t channel, Place window,
                               const float* x) {
  Maximum best{-1, 0};
  for (std::int64_t row = 0; row < c.window; ++row)
    for (std::int64_t column = 0; column < c.window; ++column) {
      const std::int64_t offset = input_offset(
          c, channel, {window.image, window.row * c.window + row, window.column * c.window + column});
      const double value = f.value(x[offset]);
      if (best.offset < 0 || value > best.value) best = {offset, value};
    }
  return best;
}

SIMT_KERNEL(kThreads)
fill_kernel(std::int64_t size, std::uint64_t seed, float low, float high, float* values) {
  for (std::int64_t i = grid_thread(); i < size; i += grid_threads()) {
    std::uint64_t z = seed + static_cast<std::uint64_t>(i + 1) * 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    values[i] = low + (high - low) * static_cast<float>((z ^ (z >> 31)) >> 40) * 0x1p-24f;
  }
}

SIMT_KERNEL(kThreads)
sums_kernel(Geometry c, double eps, const float* x, const float* dy, const float* gamma, const float* beta,
            ChannelReference* channels) {
  SIMT_SHARED(double, scratch, kThreads);
  const std::int64_t size = c.batch * c.height * c.width;
  const std::int64_t windows = c.batch * c.out_height * c.out_width;
  const auto n = static_cast<double>(size);
  for (std::int64_t channel = block_index(); channel < c.channels; channel += grid_size()) {
    double sum = 0;
    for (std::int64_t i = thread_index(); i < size; i += kThreads)
      sum += x[input_offset(c, channel, place_of(i, c.height, c.width))];
    const double mean = sum_over_block(sum, scratch) / n;

    double squares = 0;
    for (std::int64_t i = thread_index(); i < size; i += kThreads) {
      const double d = x[input_offset(c, channel, place_of(i, c.height, c.width))] - mean;
      squares += d * d;
    }
    const double inv_std = 1 / std::sqrt(sum_over_block(squares, scratch) / n + eps);

    double dgamma = 0, dbeta = 0;
    if (dy != nullptr) {
      const ChannelFormula f{mean, inv_std, gamma[channel], beta[channel]};
      for (std::int64_t i = thread_index(); i < windows; i += kThreads) {
        const Place window = place_of(i, c.out_height, c.out_width);
        const Maximum best = maximum_of(c, f, channel, window, x);
        if (c.relu && best.value <= 0) continue;
        const double g = dy[output_offset(c, channel, window)];
        dbeta += g;
        dgamma += g * f.xhat(x[best.offset]);
      }
    }
    dgamma = sum_over_block(dgamma, scratch);
    dbeta = sum_over_block(dbeta, scratch);
    if (thread_index() == 0) channels[channel] = {mean, inv_std, dgamma, dbeta};
  }
}

SIMT_KERNEL(kThreads)
output_errors_kernel(Geometry c, const ChannelReference* channels, const float* x, const float* gamma,
                     const float* beta, const float* y, ChannelError* errors) {
  SIMT_SHARED(double, scratch, kThreads);
  const std::int64_t windows = c.batch * c.out_height * c.out_width;
  for (std::int64_t channel = block_index(); channel < c.channels; channel += grid_size()) {
    const ChannelReference r = channels[channel];
    const ChannelFormula f{r.mean, r.inv_std, gamma[channel], beta[channel]};
    double difference = 0, norm = 0;
    for (std::int64_t i = thread_index(); i < windows; i += kThreads) {
      const Place window = place_of(i, c.out_height, c.out_width);
      const double value = maximum_of(c, f, channel, window, x).value;
      const double expected = c.relu && value < 0 ? 0 : value;
      const double d = y[output_offset(c, channel, window)] - expected;
      difference += d * d;
      norm += expected * expected;
    }
    difference = sum_over_block(difference, scratch);
    norm = sum_over_block(norm, scratch);
    if (thread_index() == 0) errors[channel] = {difference, norm};
  }
}

SIMT_KERNEL(kThreads)
input_gradient_errors_kernel(Geometry c, const ChannelReference* channels, const float* x, const float* dy,
                             const float* gamma, const float* beta, const float* dx, ChannelError* errors) {
  SIMT_SHARED(double, scratch, kThreads);
  const std::int64_t size = c.batch * c.height * c.width;
  const auto n = static_cast<double>(size);
  for (std::int64_t channel = block_index(); channel < c.channels; channel += grid_size()) {
    const ChannelReference r = channels[channel];
    const ChannelFormula f{r.mean, r.inv_std, gamma[channel], beta[channel]};
    double difference = 0, norm = 0;
    for (std::int64_t i = thread_index(); i < size; i += kThreads) {
      const Place pixel = place_of(i, c.height, c.width);
      const std::int64_t at = input_offset(c, channel, pixel);
      const Place window{pixel.image, pixel.row / c.window, pixel.column / c.window};
      double g = 0;
      if (window.row < c.out_height && window.column < c.out_width) {
        const Maximum best = maximum_of(c, f, channel, window, x);
        if (c.relu && std::fabs(best.value) < kNearZero) continue;
        if (best.offset == at && !(c.relu && best.value <= 0)) g = dy[output_offset(c, channel, window)];
      }
      const double expected = f.gamma * r.inv_std * (g - r.dbeta / n - f.xhat(x[at]) * r.dgamma / n);
      difference += (dx[at] - expected) * (dx[at] - expected);
      norm += expected * expected;
    }
    difference = sum_over_block(difference, scratch);
    norm = sum_over_block(norm, scratch);
    if (thread_index() == 0) errors[channel] = {difference, norm};
  }
}

Geometry geometry_of(const NormCase& c) {
  return {.batch = c.batch,
          .channels = c.channels,
          .height = c.height,
          .width = c.width,
          .window = c.window(),
          .out_height = c.out_height(),
          .out_width = c.out_width(),
          .relu = c.has_relu(),
          .channels_last = c.layout == kernels::Layout::channels_last};
}

kernels::LaunchConfig config(const char* name, std::int64_t work, std::int64_t per_block,
                             const kernels::Stream& stream) {
  return {
      .name = name, .grid = kernels::strided_grid(work, per_block, kBlocksPerSm, stream), .block = kThreads};
}

}  // namespace

void fill_uniform(std::int64_t size, std::uint64_t seed, float low, float high, float* values,
                  const kernels::Stream& stream) {
  launch(fill_kernel, config("fill_uniform", size, kThreads, stream), stream, size, seed, low, high, values);
}

void reference_sums(const NormCase& c, double eps, const float* x, const float* dy, const float* gamma,
                    const float* beta, ChannelReference* channels, const kernels::Stream& stream) {
  launch(sums_kernel, config("reference_sums", c.channels, 1, stream), stream, geometry_of(c), eps, x, dy,
         gamma, beta, channels);
}

void reference_errors(const NormCase& c, const ChannelReference* channels, const float* x, const float* dy,
                      const float* gamma, const float* beta, const float* actual, ChannelError* errors,
                      const kernels::Stream& stream) {
  const kernels::LaunchConfig channel_per_block = config("reference_errors", c.channels, 1, stream);
  if (dy == nullptr)
    launch(output_errors_kernel, channel_per_block, stream, geometry_of(c), channels, x, gamma, beta, actual,
           errors);
  else
    launch(input_gradient_errors_kernel, channel_per_block, stream, geometry_of(c), channels, x, dy, gamma,
           beta, actual, errors);
}

}  // namespace bntrain::benchmarks
