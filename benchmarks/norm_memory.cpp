#include "benchmarks/norm_memory.hpp"

#include <cmath>
#include <limits>

namespace bntrain::benchmarks {
namespace {

using kernels::NormPass;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// NormBuffers' arrays of [channels], by their place in NormMemory::channels_.
enum Place { gamma, beta, mean, mean_low, var, invstd, running_mean, running_var, dgamma, dbeta, places };

/// Also NaN where one is.
double larger(double a, double b) {
  return std::isnan(a) || b <= a ? a : b;
}

}  // namespace

NormTensors::NormTensors(const NormCase& c, NormPass pass, std::uint64_t seed,
                         const cuda::DeviceStream& stream)
    : pass_(pass),
      x_(c.size()),
      dy_(pass == NormPass::backward ? c.out_size() : 0),
      result_(pass == NormPass::forward ? c.out_size() : c.size()) {
  // Off centre, so that means and sums have no zero for an expected value.
  fill_uniform(x_.size(), seed, -1, 2, x_.data(), stream.kernels());
  if (dy_.size() > 0) fill_uniform(dy_.size(), seed + 1, -1, 1.5f, dy_.data(), stream.kernels());
}

void NormTensors::put_into(NormBuffers& buffers) const {
  buffers.x = x_.data();
  buffers.dy = pass_ == NormPass::backward ? dy_.data() : nullptr;
  buffers.y = buffers.dx = result_.data();
}

NormMemory::NormMemory(const NormCase& c, NormPass pass, std::uint64_t seed, std::int64_t sets,
                       cuda::DeviceStream& stream)
    : case_(c),
      pass_(pass),
      stream_(stream),
      channels_(places * c.channels),
      reference_(c.channels),
      expected_(static_cast<std::size_t>(c.channels)) {
  for (std::int64_t set = 0; set < sets; ++set) tensors_.emplace_back(c, pass, seed, stream);
  const NormBuffers b = buffers(0);
  const auto fill = [&](const float* to, std::uint64_t stream_seed, float low, float high) {
    fill_uniform(c.channels, stream_seed, low, high, const_cast<float*>(to), stream.kernels());
  };
  fill(b.gamma, seed + 2, 0.5f, 1.5f);
  fill(b.beta, seed + 3, -1, 1);
  fill(b.running_mean, 0, 0, 0);
  fill(b.running_var, 0, 1, 1);
  reference_sums(c, kEps, b.x, b.dy, b.gamma, b.beta, reference_.data(), stream.kernels());
  stream.download(expected_.data(), reference_.data(), reference_.bytes());
  poison();
}

NormBuffers NormMemory::buffers(std::int64_t set) const {
  const auto at = [&](Place place) { return channels_.data() + place * case_.channels; };
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
  const auto fill = [&](std::int64_t size, float* output) {
    fill_uniform(size, 0, kNaN, kNaN, output, stream_.kernels());
  };
  const cuda::DeviceArray<float>& result = tensors_[0].result();
  fill(result.size(), result.data());
  fill(2 * case_.channels, b.mean);
  for (float* output : {b.var, b.invstd, b.dgamma, b.dbeta}) fill(case_.channels, output);
  if (pass_ == NormPass::forward) return;
  std::vector<float> means, low_parts, inv_stds;
  for (const ChannelReference& channel : expected_) {
    means.push_back(static_cast<float>(channel.mean));
    low_parts.push_back(static_cast<float>(channel.mean - static_cast<double>(means.back())));
    inv_stds.push_back(static_cast<float>(channel.inv_std));
  }
  means.insert(means.end(), low_parts.begin(), low_parts.end());
  const std::int64_t bytes = case_.channels * static_cast<std::int64_t>(sizeof(float));
  stream_.upload(b.mean, means.data(), 2 * bytes);
  stream_.upload(b.invstd, inv_stds.data(), bytes);
}

double NormMemory::error() const {
  const NormBuffers b = buffers(0);
  const auto channel_error = [&](const float* device, double ChannelReference::*expected) {
    std::vector<float> actual(expected_.size());
    stream_.download(actual.data(), device, case_.channels * static_cast<std::int64_t>(sizeof(float)));
    double difference = 0, norm = 0;
    for (std::size_t i = 0; i < actual.size(); ++i) {
      const double d = actual[i] - expected_[i].*expected;
      difference += d * d;
      norm += expected_[i].*expected * expected_[i].*expected;
    }
    return std::sqrt(difference / norm);
  };
  const cuda::DeviceArray<ChannelError> errors(case_.channels);
  std::vector<ChannelError> of_channels(expected_.size());
  reference_errors(case_, reference_.data(), b.x, b.dy, b.gamma, b.beta, tensors_[0].result().data(),
                   errors.data(), stream_.kernels());
  stream_.download(of_channels.data(), errors.data(), errors.bytes());
  double difference = 0, norm = 0;
  for (const ChannelError& channel : of_channels) {
    difference += channel.difference;
    norm += channel.expected;
  }
  const double of_tensor = std::sqrt(difference / norm);
  if (pass_ == NormPass::forward)
    return larger(larger(of_tensor, channel_error(b.mean, &ChannelReference::mean)),
                  channel_error(b.invstd, &ChannelReference::inv_std));
  return larger(larger(of_tensor, channel_error(b.dgamma, &ChannelReference::dgamma)),
                channel_error(b.dbeta, &ChannelReference::dbeta));
}

}  // namespace bntrain::benchmarks
