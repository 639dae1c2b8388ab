// Looks inside the network while it trains: the distributions that batch norm is about.
// Figure 1 (b, c) of Ioffe and Szegedy 2015, arXiv 1502.03167, is such a record: the 15th, 50th and 85th
// percentiles of what one sigmoid reads, step by step.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend/executable.hpp"
#include "bntrain/dataset.hpp"
#include "bntrain/network.hpp"
#include "bntrain/tensor.hpp"
#include "bntrain/train.hpp"
#include "core/histogram.hpp"

namespace bntrain {

/// Which percentiles are recorded.
inline constexpr std::array<int, 5> percents = {5, 15, 50, 85, 95};
using Percentiles = std::array<double, percents.size()>;

/// Exact percentiles with numpy's 'linear' interpolation: percent p of n sorted values lies at the position
/// p / 100 * (n - 1), between two values in proportion. All are NaN when a value is NaN or there is none.
Percentiles percentiles(std::vector<float> values);

/// One channel of a batch norm: the batch's statistics (the variance biased) against the running ones.
struct NormChannel {
  double batch_mean = 0, batch_var = 0;
  double running_mean = 0, running_var = 0;
  double gamma = 0, beta = 0;
};

/// One batch norm. Norms are Euclidean, of the gradient that the update uses: of the loss summed over the
/// batch, times gradient_scale. The input's is NaN where the batch norm reads the images.
struct NormRecord {
  std::string layer;    ///< "1 bn"
  Percentiles input{};  ///< over all channels, positions and images
  Histogram histogram;  ///< of the input, where RecordOptions asks for it
  std::vector<NormChannel> channels;
  double gradient_norm_output = 0, gradient_norm_input = 0;
};

/// What an activation layer reads.
struct ActivationRecord {
  std::string layer;    ///< "2 relu"
  Percentiles unit{};   ///< of unit or channel 0: over its positions and all images
  Percentiles all{};    ///< over all units
  Histogram histogram;  ///< of all units, where RecordOptions asks for it
};

/// One step, seen before its update: the state that it starts from, with its batch. Gradient norms are NaN
/// where the loss is not finite, for then nothing runs backward.
struct StepRecord {
  std::int64_t step = 0;  ///< from 0 since the start of the run
  std::vector<NormRecord> norms;
  std::vector<ActivationRecord> activations;
};

/// Makes the steps that it looks at again, on an executable of its own whose plan fuses nothing: a training
/// step keeps neither batch norm's output nor the gradients of convolutions. What it looks at keeps its bits.
class Probe {
 public:
  /// `config.record` says what is recorded. Throws Error(runtime) where the device has no room for it.
  Probe(const Network& network, const TrainConfig& config, const Dataset& dataset, Backend& backend);

  /// The order in which the epoch visits the training images.
  void set_order(std::span<const std::int64_t> order);

  /// Step number `step`, from `state` on these positions of the order.
  StepRecord look(std::int64_t step, const ModelState& state, BatchRange range, double gradient_scale);

 private:
  std::vector<float> input(const PlanOp& op, std::int64_t images) const;
  NormRecord norm_record(const PlanOp& op, const ModelState& state, std::int64_t images, bool finite) const;
  double gradient_norm(int value, std::int64_t images) const;

  RecordOptions record_;
  std::unique_ptr<Executable> executable_;
};

}  // namespace bntrain
