// The device memory that a case runs in: the inputs, and whether the right results came out.
#pragma once

#include <cstdint>
#include <vector>

#include "benchmarks/norm_contender.hpp"
#include "benchmarks/reference_norm.hpp"

namespace bntrain::benchmarks {

/// Float32 lands far below; factors rounded to TF32 would come near 3e-4.
inline constexpr double kLargestError = 1e-4;

/// One launch's tensors.
class NormTensors {
 public:
  NormTensors(const NormCase& c, kernels::NormPass pass, std::uint64_t seed,
              const cuda::DeviceStream& stream);
  /// What the pass does not use is null.
  void put_into(NormBuffers& buffers) const;
  const cuda::DeviceArray<float>& result() const { return result_; }

 private:
  kernels::NormPass pass_;
  cuda::DeviceArray<float> x_, dy_, result_;
};

/// `sets` sets of tensors, all with the same numbers, and what the launches share: parameters, statistics,
/// parameter gradients.
class NormMemory {
 public:
  NormMemory(const NormCase& c, kernels::NormPass pass, std::uint64_t seed, std::int64_t sets,
             cuda::DeviceStream& stream);

  std::int64_t sets() const { return static_cast<std::int64_t>(tensors_.size()); }
  NormBuffers buffers(std::int64_t set) const;

  /// Fills what the pass writes in set 0 with NaN, and puts the statistics back that backward passes read.
  void poison();
  /// Of what lies in set 0: the largest |actual - expected| / |expected| in the Euclidean norm over the
  /// pass's results; NaN where one holds a NaN. Expected is what reference_norm.hpp computes.
  double error() const;

 private:
  NormCase case_;
  kernels::NormPass pass_;
  cuda::DeviceStream& stream_;
  std::vector<NormTensors> tensors_;
  cuda::DeviceArray<float> channels_;  ///< the [channels] arrays of NormBuffers, one after the other
  cuda::DeviceArray<ChannelReference> reference_;
  std::vector<ChannelReference> expected_;  ///< reference_ on the host
};

}  // namespace bntrain::benchmarks
