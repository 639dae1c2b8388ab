#include "benchmarks/norm_problem.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "bntrain/error.hpp"
#include "support/reference.hpp"

namespace bntrain::benchmarks {
namespace {

using kernels::NormPass;

/// Uniform in [low, high); Steele, Lea, Flood (2014), "Fast splittable pseudorandom number generators".
std::vector<float> random_values(std::int64_t size, std::uint64_t seed, float low, float high) {
  std::vector<float> values(static_cast<std::size_t>(size));
  std::uint64_t state = seed;
  for (float& value : values) {
    std::uint64_t z = (state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    value = low + (high - low) * static_cast<float>((z ^ (z >> 31)) >> 40) * 0x1p-24f;
  }
  return values;
}

/// (batch, channels, spatial) as (batch, spatial, channels).
template <typename T>
void to_channels_last(const NormCase& c, std::vector<T>& tensor) {
  const auto channels = static_cast<std::size_t>(c.channels),
             spatial = static_cast<std::size_t>(c.height * c.width);
  std::vector<T> image(channels * spatial);
  for (std::size_t first = 0; first < tensor.size(); first += image.size()) {
    for (std::size_t channel = 0; channel < channels; ++channel)
      for (std::size_t pixel = 0; pixel < spatial; ++pixel)
        image[pixel * channels + channel] = tensor[first + channel * spatial + pixel];
    std::copy(image.begin(), image.end(), tensor.begin() + static_cast<std::ptrdiff_t>(first));
  }
}

double relative_error(const std::vector<float>& actual, const std::vector<double>& expected) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    difference += (actual[i] - expected[i]) * (actual[i] - expected[i]);
    norm += expected[i] * expected[i];
  }
  return std::sqrt(difference / norm);
}

std::int64_t bytes_of(const std::vector<float>& values) {
  return static_cast<std::int64_t>(values.size() * sizeof(float));
}

// NormBuffers' arrays of [channels], by their place in NormMemory::channels_.
enum Place { gamma, beta, mean, mean_low, var, invstd, running_mean, running_var, dgamma, dbeta, places };

}  // namespace

NormProblem::NormProblem(const NormCase& c, std::uint64_t seed)
    // Off centre, so that means and sums have no zero for an expected value.
    : x(random_values(c.size(), seed, -1, 2)),
      dy(random_values(c.size(), seed + 1, -1, 1.5f)),
      gamma(random_values(c.channels, seed + 2, 0.5f, 1.5f)),
      beta(random_values(c.channels, seed + 3, -1, 1)),
      case_(c) {
  const reference::NormShape shape{c.batch, c.channels, c.height * c.width};
  reference::Values wide = reference::widen(x);
  reference::NormForward forward =
      reference::norm_forward(wide, reference::widen(gamma), reference::widen(beta), shape, kEps);
  reference::NormGradients gradients =
      reference::norm_backward(wide, reference::widen(dy), reference::widen(gamma), shape, kEps);
  y = std::move(forward.y);
  dx = std::move(gradients.x);
  dgamma = std::move(gradients.gamma);
  dbeta = std::move(gradients.beta);
  exact_mean = std::move(forward.mean);
  mean = reference::narrow(exact_mean);
  for (std::size_t i = 0; i < exact_mean.size(); ++i)
    mean.push_back(static_cast<float>(exact_mean[i] - static_cast<double>(mean[i])));
  for (const double v : forward.var) invstd.push_back(static_cast<float>(1 / std::sqrt(v + kEps)));
  if (c.layout == kernels::Layout::channels_first) return;
  to_channels_last(c, x);
  to_channels_last(c, dy);
  to_channels_last(c, y);
  to_channels_last(c, dx);
}

NormTensors::NormTensors(const NormProblem& problem, NormPass pass, cuda::DeviceStream& stream)
    : x_(problem.norm_case().size()),
      dy_(pass == NormPass::backward ? problem.norm_case().size() : 0),
      result_(problem.norm_case().size()) {
  stream.upload(x_.data(), problem.x.data(), x_.bytes());
  stream.upload(dy_.data(), problem.dy.data(), dy_.bytes());
}

void NormTensors::put_into(NormBuffers& buffers) const {
  buffers.x = x_.data();
  buffers.dy = dy_.data();
  buffers.y = buffers.dx = result_.data();
}

NormMemory::NormMemory(const NormProblem& problem, NormPass pass, std::int64_t sets,
                       cuda::DeviceStream& stream)
    : problem_(problem), pass_(pass), stream_(stream), channels_(places * problem.norm_case().channels) {
  for (std::int64_t set = 0; set < sets; ++set) tensors_.emplace_back(problem, pass, stream);
  const NormBuffers b = buffers(0);
  const auto upload = [&](const float* to, const std::vector<float>& values) {
    stream.upload(const_cast<float*>(to), values.data(), bytes_of(values));
  };
  upload(b.gamma, problem.gamma);
  upload(b.beta, problem.beta);
  upload(b.running_mean, std::vector<float>(problem.gamma.size(), 0));
  upload(b.running_var, std::vector<float>(problem.gamma.size(), 1));
  poison();
}

NormBuffers NormMemory::buffers(std::int64_t set) const {
  const auto at = [&](Place place) { return channels_.data() + place * problem_.norm_case().channels; };
  NormBuffers b{.x = nullptr,
                .dy = nullptr,
                .gamma = at(gamma),
                .beta = at(beta),
                .y = nullptr,
                .dx = nullptr,
                .mean = at(mean),
                .var = at(var),
                .invstd = at(invstd),
                .running_mean = at(running_mean),
                .running_var = at(running_var),
                .dgamma = at(dgamma),
                .dbeta = at(dbeta)};
  tensors_[static_cast<std::size_t>(set)].put_into(b);
  return b;
}

void NormMemory::poison() {
  const NormBuffers b = buffers(0);
  const std::vector<float> nans(static_cast<std::size_t>(problem_.norm_case().size()),
                                std::numeric_limits<float>::quiet_NaN());
  const auto channels = static_cast<std::int64_t>(problem_.gamma.size() * sizeof(float));
  stream_.upload(b.y, nans.data(), bytes_of(nans));
  const bool given = pass_ == NormPass::backward;
  stream_.upload(b.mean, given ? problem_.mean.data() : nans.data(), channels);
  if (given)
    stream_.upload(b.mean + problem_.gamma.size(), problem_.mean.data() + problem_.gamma.size(), channels);
  stream_.upload(b.invstd, given ? problem_.invstd.data() : nans.data(), channels);
  for (float* output : {b.var, b.dgamma, b.dbeta}) stream_.upload(output, nans.data(), channels);
}

double NormMemory::error() const {
  const NormBuffers b = buffers(0);
  double largest = 0;
  const auto compare = [&](const float* device, const std::vector<double>& expected) {
    std::vector<float> actual(expected.size());
    stream_.download(actual.data(), device, bytes_of(actual));
    const double error = relative_error(actual, expected);
    largest = std::isnan(largest) || error <= largest ? largest : error;
  };
  if (pass_ == NormPass::forward) {
    compare(b.y, problem_.y);
    compare(b.mean, problem_.exact_mean);
    compare(b.invstd, reference::widen(problem_.invstd));
  } else {
    compare(b.dx, problem_.dx);
    compare(b.dgamma, problem_.dgamma);
    compare(b.dbeta, problem_.dbeta);
  }
  return largest;
}

}  // namespace bntrain::benchmarks
