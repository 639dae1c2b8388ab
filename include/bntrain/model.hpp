// A trained network as a file holds it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "bntrain/batch_norm.hpp"
#include "bntrain/network.hpp"
#include "bntrain/tensor.hpp"

namespace bntrain {

struct Model {
  Network network;
  BatchNormOptions batch_norm;
  ModelState state;
  std::map<std::string, std::string> metadata;  ///< as it stands in the file

  /// The name of the data set that it was trained on; "" where the file does not tell.
  std::string dataset() const;
};

/// What the file may leave open. `network` and `eps` go before what the file says; `input` and `classes`
/// serve where it says nothing.
struct ModelDescription {
  std::string network;        ///< see Network::parse(); "": the file must tell
  std::optional<double> eps;  ///< of every batch norm
  std::optional<Shape> input;
  std::optional<std::int64_t> classes;
};

/// Reads the model of a safetensors file: one that `bntrain train --save` wrote tells everything in its
/// metadata, others (of PyTorch) hold the tensors alone. Throws Error(data) for a file that is damaged or
/// does not fit the network, Error(usage) where neither file nor `known` tells what is needed.
Model load_model(const std::filesystem::path& path, const ModelDescription& known = {});

}  // namespace bntrain
