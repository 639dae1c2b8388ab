// Who computes batch norm: our kernels in each of their variants, and cuDNN in each of its modes.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "backend/cuda/device.hpp"
#include "benchmarks/norm_case.hpp"

namespace bntrain::benchmarks {

/// Device memory of one launch. Tensors in the case's layout, the rest [channels]. With pooling dy and y
/// have a value a window.
struct NormBuffers {
  const float *x, *dy, *gamma, *beta;
  float *y, *dx;
  /// The backward pass reads mean and invstd; var is written by whoever has it. mean: high parts, then low
  /// ones, which cuDNN has not.
  float *mean, *var, *invstd;
  float *running_mean, *running_var;
  float *dgamma, *dbeta;
};

inline constexpr double kEps = 1e-5;
inline constexpr double kMomentum = 0.9;  ///< weight of the old running statistic

/// The shape cannot be served; the message says why.
class Unsupported : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class NormContender {
 public:
  explicit NormContender(std::string name, bool is_peer) : name_(std::move(name)), is_peer_(is_peer) {}
  virtual ~NormContender() = default;
  NormContender(const NormContender&) = delete;
  NormContender& operator=(const NormContender&) = delete;

  const std::string& name() const { return name_; }
  /// Not ours.
  bool is_peer() const { return is_peer_; }

  // They only enqueue, and throw Unsupported.
  /// Training pass: statistics of the batch, the running ones moved on.
  virtual void forward(const NormBuffers& buffers) = 0;
  /// What backward() wants of a forward pass beside mean and invstd; not timed.
  virtual void prepare_backward(const NormBuffers& /*buffers*/) {}
  virtual void backward(const NormBuffers& buffers) = 0;

 private:
  std::string name_;
  bool is_peer_;
};

using Contenders = std::vector<std::unique_ptr<NormContender>>;

inline constexpr kernels::NormVariant kVariants[] = {kernels::NormVariant::naive, kernels::NormVariant::plain,
                                                     kernels::NormVariant::resident,
                                                     kernels::NormVariant::streamed};

/// "automatic (resident)" and every variant, for a pass of the case; with pooling the kernels that
/// the CUDA backend launches for it, "automatic (fused)".
Contenders our_contenders(const NormCase& c, kernels::NormPass pass, cuda::DeviceStream& stream);

/// "tuning rule" and, as "tuning 16x256x9x1", the resident kernels in every tuning that serves the case
/// (tuned_norm.hpp).
Contenders tuned_contenders(const NormCase& c, kernels::NormPass pass, cuda::DeviceStream& stream);

}  // namespace bntrain::benchmarks
