// The numbers that a case is run on, and what must come out.
#pragma once

#include <cstdint>
#include <vector>

#include "benchmarks/norm_contender.hpp"

namespace bntrain::benchmarks {

/// Float32 lands far below; factors rounded to TF32 would come near 3e-4.
inline constexpr double kLargestError = 1e-4;

/// Inputs in the case's layout; results in double precision by tests/support/reference, which shares no code
/// with the kernels.
class NormProblem {
 public:
  NormProblem(const NormCase& c, std::uint64_t seed);

  const NormCase& norm_case() const { return case_; }

  std::vector<float> x, dy, gamma, beta;
  std::vector<float> mean, invstd;  ///< of the reference, for the backward pass; mean: high, low parts
  std::vector<double> y, dx, dgamma, dbeta, exact_mean;  ///< expected

 private:
  NormCase case_;
};

/// One launch's memory: the tensors that a pass reads and writes.
class NormTensors {
 public:
  NormTensors(const NormProblem& problem, kernels::NormPass pass, cuda::DeviceStream& stream);
  /// What the pass does not use is null.
  void put_into(NormBuffers& buffers) const;

 private:
  cuda::DeviceArray<float> x_, dy_, result_;
};

/// What all launches share: parameters, statistics, parameter gradients. The buffers of a set have
/// everything.
class NormMemory {
 public:
  NormMemory(const NormProblem& problem, kernels::NormPass pass, std::int64_t sets,
             cuda::DeviceStream& stream);

  std::int64_t sets() const { return static_cast<std::int64_t>(tensors_.size()); }
  NormBuffers buffers(std::int64_t set) const;

  /// Fills what the pass writes in set 0 with NaN, and puts the statistics back that backward passes read.
  void poison();
  /// Of what lies in set 0: the largest |actual - expected| / |expected| in the Euclidean norm over the
  /// pass's results; NaN where one holds a NaN.
  double error() const;

 private:
  const NormProblem& problem_;
  kernels::NormPass pass_;
  cuda::DeviceStream& stream_;
  std::vector<NormTensors> tensors_;
  cuda::DeviceArray<float> channels_;  ///< the [channels] arrays of NormBuffers, one behind the other
};

}  // namespace bntrain::benchmarks
