// Everything a training run depends on, as one plain struct.
#pragma once

#include <cstdint>
#include <string>

#include "bntrain/backend.hpp"
#include "bntrain/network.hpp"

namespace bntrain {

/// What a Probe looks at while the network trains; see probe.hpp.
struct RecordOptions {
  bool norms = false;        ///< batch norms: inputs, statistics, gradients
  bool activations = false;  ///< what the activation layers read

  bool any() const { return norms || activations; }
};

/// Every default is the reference experiment's value.
struct TrainConfig {
  // the experiment
  std::string data;                  ///< see load_dataset()
  std::string network = "lenet-bn";  ///< see Network::parse()
  Norm norm = Norm::batch;
  Init init = Init::tutorial;
  BatchNormOptions batch_norm;
  std::int64_t epochs = 5;
  std::int64_t batch_size = 256;
  double lr = 0.2;
  double momentum = 0.0;
  double weight_decay = 0.0;
  std::uint64_t seed = 0;
  bool shuffle = true;
  std::int64_t steps = 0;       ///< end after that many steps; 0 = after `epochs`
  std::int64_t eval_every = 0;  ///< look at the test set every so many steps too; 0 = only after epochs
  /// This share of the training images is kept out of training and takes the test set's place in every
  /// evaluation; the test set is looked at once, in the end. 0 = none is.
  double valid = 0.0;
  std::int64_t patience =
      0;  ///< with `valid`: end after that many epochs without a better accuracy; 0 = never

  // where it runs
  BackendOptions backend;

  // what is read and written ("" = nothing)
  std::string init_from;
  std::string save;
  std::string save_gradients;
  std::string metrics;
  std::int64_t log_every = 0;   ///< drain every so many steps and record the step losses; 0 = only by epoch
  RecordOptions record;         ///< looked at every `log_every` steps, or every 50 where that is 0
  std::string out;              ///< the run's folder
  std::int64_t save_every = 0;  ///< checkpoints every so many steps too; 0 = only after epochs
  std::int64_t keep = 0;        ///< numbered checkpoints that are kept beside the last
};

}  // namespace bntrain
