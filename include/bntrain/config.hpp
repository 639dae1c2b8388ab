// The experiment: everything that the result of a training run depends on but its data and its device.
#pragma once

#include <cstdint>
#include <string>

#include "bntrain/network.hpp"
#include "bntrain/optimizer.hpp"
#include "bntrain/schedule.hpp"

namespace bntrain {

/// What a Probe records of the network while it trains; see probe.hpp.
struct RecordOptions {
  bool norms = false;        ///< batch norms: inputs, statistics, gradients
  bool activations = false;  ///< the inputs of the activation layers

  bool any() const { return norms || activations; }
};

/// Every default is the reference experiment's value.
struct TrainConfig {
  std::string network = "lenet-bn";  ///< see Network::parse()
  Norm norm = Norm::batch;
  Init init = Init::tutorial;
  BatchNormOptions batch_norm;
  std::int64_t epochs = 5;
  std::int64_t batch_size = 256;
  OptimizerOptions optimizer;
  ScheduleOptions schedule;  ///< of optimizer.lr
  std::uint64_t seed = 0;
  bool shuffle = true;
  std::int64_t steps = 0;  ///< end after that many steps; 0 = after `epochs`
  /// This share of the training images is held out from training and takes the test set's place in every
  /// evaluation; the test set is evaluated once, at the end. 0 = none is.
  double valid = 0.0;
  /// With `valid`: end after that many epochs without a better accuracy; 0 = never.
  std::int64_t patience = 0;

  // when a TrainObserver is told; none of these changes what a step computes
  std::int64_t log_every = 0;  ///< of the metrics of steps: every so many; 0 = at intervals that cost nothing
  std::int64_t eval_every = 0;  ///< evaluate every so many steps too; 0 = only after epochs
  std::int64_t save_every = 0;  ///< make checkpoints every so many steps too; 0 = only after epochs
  RecordOptions record;         ///< every `log_every` steps, or every 50 where that is 0
};

}  // namespace bntrain
