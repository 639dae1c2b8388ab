// Model files: a trained network as a safetensors file with PyTorch's names and layouts.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "bntrain/network.hpp"
#include "bntrain/tensor.hpp"

namespace bntrain {

struct Model {
  Network network;
  BatchNormOptions batch_norm;  ///< of a file only the eps, which is all that inference needs
  ModelState state;
  std::map<std::string, std::string> metadata;  ///< the strings of the file

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

/// Reads the model of a safetensors file: one that save_model() or write_checkpoint() wrote tells everything
/// in its metadata, others (of PyTorch) hold the tensors alone. Throws Error(data) for a file that is damaged
/// or does not fit the network, Error(usage) where neither file nor `known` tells what is needed.
Model load_model(const std::filesystem::path& path, const ModelDescription& known = {});

/// What save_model() writes as the metadata of the file: model.metadata, and over it what load_model() needs
/// (format, version, network, input, classes and, where there are batch norms, bn-eps).
std::map<std::string, std::string> file_metadata(const Model& model);

/// Writes to a temporary file beside `path`, syncs and renames: a crash leaves the old file or the new one.
/// Throws Error(data) with the reason of the system.
void save_model(const std::filesystem::path& path, const Model& model);

}  // namespace bntrain
