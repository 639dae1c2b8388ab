// What frameworks mean by batch norm: docs/bn-conventions.md has the sources.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bntrain/network.hpp"
#include "bntrain/tensor.hpp"

namespace bntrain {

/// The defaults of a framework, in this project's terms.
struct BatchNormConvention {
  std::string name;
  BatchNormOptions options;
};

/// `tutorial`, `torch`, `keras`, `caffe`, `onnx`.
std::vector<BatchNormConvention> batch_norm_conventions();

/// How many values each channel of each batch norm has in a batch of that many images: the n of its
/// variances, in the order of Network::running().
std::vector<std::int64_t> values_per_channel(const Network& network, std::int64_t batch_size);

/// Which variance running_var holds, and of how many values.
struct RecordedVariance {
  bool unbiased = false;
  std::vector<std::int64_t> values;  ///< as values_per_channel() gives them
};

/// What the metadata of a model file say in `bn-variance` and `bn-values` ("147456,30976"), nothing where one
/// of the two is missing (files of other programs). Throws Error(data), prefixed by `where`, for anything
/// else.
std::optional<RecordedVariance> recorded_variance(const Network& network,
                                                  const std::map<std::string, std::string>& metadata,
                                                  const std::string& where);

/// The same two entries to be written.
std::map<std::string, std::string> metadata_of(const RecordedVariance& variance);

/// `state` with every running_var as the other convention would have recorded it: times n / (n - 1) to make
/// it unbiased, times (n - 1) / n to make it biased; n = 1 stays (there is no unbiased one). Exact where
/// every batch of the moving average had n values; a shorter one had a factor of its own. Expects
/// check_state() to have passed.
ModelState convert_running_variance(const Network& network, ModelState state, const RecordedVariance& from,
                                    bool to_unbiased);

}  // namespace bntrain
