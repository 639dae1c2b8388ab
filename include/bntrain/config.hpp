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

  // where it runs
  BackendOptions backend;

  // what is read and written ("" = nothing)
  std::string init_from;
  std::string save;
  std::string save_gradients;
  std::string metrics;
  std::int64_t log_every = 0;  ///< drain every so many steps and record the step losses; 0 = only by epoch
  RecordOptions record;        ///< looked at every `log_every` steps, or every 50 where that is 0
};

}  // namespace bntrain
