#include "backend/cuda/peaks.hpp"

#include <algorithm>
#include <functional>
#include <vector>

#include "bntrain/error.hpp"
#include "kernels/peaks.hpp"

namespace bntrain::cuda {
namespace {

constexpr int kRepetitions = 5;
constexpr std::int64_t kBytes = sizeof(float);

/// Seconds of the fastest run; the first only warms up.
double fastest(DeviceStream& stream, const std::function<void()>& work) {
  Event begin, end;
  double best = 0;
  for (int repetition = 0; repetition <= kRepetitions; ++repetition) {
    stream.record(begin);
    work();
    stream.record(end);
    const double seconds = end.seconds_since(begin);
    best = repetition <= 1 ? seconds : std::min(best, seconds);
  }
  return best;
}

double copy_rate(DeviceStream& stream, std::int64_t size) {
  const DeviceArray<float> from(size), to(size);
  // Not all the same, so that a part that was left out shows.
  std::vector<float> values(static_cast<std::size_t>(size)), copied(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 8191);
  stream.upload(from.data(), values.data(), from.bytes());
  const double seconds =
      fastest(stream, [&] { kernels::copy_floats(size, from.data(), to.data(), stream.kernels()); });
  stream.download(copied.data(), to.data(), to.bytes());
  if (copied != values)
    throw Error(ErrorKind::runtime,
                "a copy in device memory differs from its source: the device is at fault");
  return static_cast<double>(from.bytes() + to.bytes()) / seconds;
}

double multiply_add_rate(DeviceStream& stream) {
  constexpr std::int64_t kLinks = 20'000;
  const kernels::ChainSize chains = kernels::multiply_add_chain_size(stream.kernels());
  const DeviceArray<float> sums(chains.threads);
  // Every chain settles at 1 = 1 * 0.5 + 0.5.
  const double seconds = fastest(
      stream, [&] { kernels::multiply_add_chains(kLinks, 0.5f, 0.5f, sums.data(), stream.kernels()); });
  std::vector<float> values(static_cast<std::size_t>(chains.threads));
  stream.download(values.data(), sums.data(), sums.bytes());
  for (const float value : values)
    if (value != static_cast<float>(chains.chains_per_thread))
      throw Error(ErrorKind::runtime, "multiply-adds gave a wrong sum: the device is at fault");
  return 2.0 * static_cast<double>(chains.threads * chains.chains_per_thread * kLinks) / seconds;
}

}  // namespace

DevicePeaks measure_peaks(DeviceStream& stream, std::int64_t copy_bytes) {
  return {copy_rate(stream, copy_bytes / (4 * kBytes) * 4), multiply_add_rate(stream)};
}

}  // namespace bntrain::cuda
