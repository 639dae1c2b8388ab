// --init-from: the model of a file as the initial values of a training run.
#pragma once

#include <string>
#include <vector>

#include "bntrain/dataset.hpp"
#include "bntrain/tensor.hpp"
#include "cli/flags/train_options.hpp"

namespace bntrain::cli {

struct InitialValues {
  ModelState state;
  std::vector<std::string> anew;  ///< tensors that begin as those of a new network with config.init and seed
  std::vector<Remark> remarks;    ///< what was converted, what begins anew, what may surprise
};

/// The data set of a run. With initial values of a file that has more classes than the data show, a network
/// whose text ends with that many outputs keeps them: options.classes is set.
Dataset load_training_data(TrainOptions& options);

/// The model of options.init_from, but for the tensors of the layers in options.init_skip, and of the last
/// layer where the file has another number of outputs: those begin as in a new network, with the same random
/// numbers. running_var is converted where the file says that it holds the other variance than the run
/// stores. Throws Error(data) for a file that is damaged or whose other tensors do not fit the network or are
/// not finite, Error(usage) for a layer in init_skip that the network has not.
InitialValues read_initial_values(const TrainOptions& options, const Network& network);

}  // namespace bntrain::cli
