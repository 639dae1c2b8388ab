// Model files: a trained network as a safetensors file with PyTorch's names and layouts. Checkpoints: a
// training run between two steps; docs/checkpoints.md describes the format.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bntrain/metrics.hpp"
#include "bntrain/network.hpp"
#include "bntrain/tensor.hpp"

namespace bntrain {

struct Model {
  Network network;
  BatchNormOptions batch_norm;  ///< of a file only the eps, which is all that inference needs
  ModelState state;
  std::map<std::string, std::string> metadata;  ///< the strings of the file
  std::vector<Remark> remarks = {};             ///< of load_model(): what it converted, and what may surprise

  /// The name of the data set that it was trained on; "" where the file does not tell.
  std::string dataset() const;
};

/// What the file may leave open. `network`, `eps` and `normalization` go before what the file says; `input`
/// and `classes` serve where it says nothing.
struct ModelDescription {
  std::string network;               ///< see Network::parse(); "": the file must tell
  std::optional<double> eps;         ///< of every batch norm
  Normalization normalization = {};  ///< without values: what the file says, if it says anything
  std::optional<Shape> input;
  std::optional<std::int64_t> classes;
  StatisticsUse statistics = StatisticsUse::inference;  ///< see check_values()
};

/// Reads the model of a safetensors file: one that save_model() or write_checkpoint() wrote tells everything
/// in its metadata, others (of PyTorch) hold the tensors alone. Throws Error(data) for a file that is
/// damaged, does not fit the network or holds values that nothing can be computed with, Error(usage) where
/// neither file nor `known` tells what is needed.
Model load_model(const std::filesystem::path& path, const ModelDescription& known = {});

/// The number of classes that the file names in its metadata, if it does. Throws Error(data) as load_model().
std::optional<std::int64_t> stored_classes(const std::filesystem::path& path);

/// What save_model() writes as the metadata of the file: model.metadata, and over it what load_model() needs
/// (format, version, network, input, classes and, where there are any, normalize and bn-eps).
std::map<std::string, std::string> file_metadata(const Model& model);

/// Writes to a temporary file beside `path`, syncs and renames: a crash leaves the old file or the new one.
/// Throws Error(data) with the reason of the system.
void save_model(const std::filesystem::path& path, const Model& model);

/// Which images an evaluation used.
enum class EvaluatedSet { test, validation };

/// One finished epoch, or the part of it that was run.
struct EpochResult {
  std::int64_t epoch = 0;  ///< from 0
  std::int64_t steps = 0;  ///< updates since the start of the run
  AverageMetrics train;    ///< running averages while the epoch trained, before each update
  AverageMetrics test;  ///< running statistics, after the epoch, all of `evaluated`; zeros when interrupted
  EvaluatedSet evaluated = EvaluatedSet::test;
  double train_seconds = 0;  ///< without evaluations, records and checkpoints within the epoch
  double eval_seconds = 0;
};

/// Epochs of a run, however many: what it and its reports still need of them.
struct EpochHistory {
  std::int64_t count = 0;
  double train_seconds = 0;         ///< of all of them
  std::optional<EpochResult> best;  ///< the first evaluated one of the highest accuracy
  std::optional<EpochResult> last;  ///< the last evaluated one

  void add(const EpochResult& epoch);
};

/// How far a run has come: with the model and the optimiser's state, all that it needs to continue.
struct TrainProgress {
  std::uint64_t seed = 0;             ///< with the number of epochs, the state of every random stream
  std::int64_t steps = 0;             ///< updates since the start of the run
  EpochHistory epochs;                ///< the whole epochs
  std::vector<StepMetrics> measured;  ///< every step of the epoch in progress: its position in the epoch
  double train_seconds = 0;           ///< of the epoch in progress
};

/// A run between two steps.
struct Checkpoint {
  ModelState model;  ///< parameters and running statistics
  std::vector<OptimizerState> optimizer;
  ModelState best;  ///< with validation, once an epoch is over: the model after the best one
  TrainProgress progress;
};

struct CheckpointFile {
  Checkpoint checkpoint;
  std::map<std::string, std::string> metadata;  ///< what the writer of the file said about the run
};

/// Writes the model under PyTorch's names, so that it can be read as a model file too, and the rest under
/// "bntrain.". No key of `metadata` may be one of the format's own: bntrain.format, bntrain.random,
/// bntrain.progress, bntrain.sha256. A crash leaves the old file or the new one.
void write_checkpoint(const std::filesystem::path& path, const CheckpointFile& file);

/// Reads this format version and all earlier ones. Throws Error(data) that names the file where it is
/// missing, no checkpoint, of a later version, or where its checksum, which covers every byte of content,
/// does not match.
CheckpointFile read_checkpoint(const std::filesystem::path& path);

}  // namespace bntrain
