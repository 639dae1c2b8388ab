// The folder of a run, RUN: its configuration, its records, its checkpoints.
#pragma once

#include <array>
#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "bntrain/train.hpp"
#include "cli/flags/train_options.hpp"
#include "core/folder_lock.hpp"
#include "train/records.hpp"

namespace bntrain::cli {

/// What model files say about their model, by key.
using Metadata = std::map<std::string, std::string>;

/// The names of a run's files, but for its numbered checkpoints.
inline constexpr std::array<const char*, 6> run_files = {
    "last.safetensors", "best.safetensors", "config.toml", "metrics.jsonl", "evaluation.json", "report.html"};

/// Throws Error(usage) of "out" where the folder holds any of them: asked before anything is read or trained.
void expect_no_run(const std::string& folder);

/// Writes last.safetensors, the checkpoint that --resume takes; step-NNNNNNNN.safetensors, the last --keep of
/// them; best.safetensors, the model of the best validation accuracy; config.toml, for people and --config.
class RunFolder {
 public:
  /// Takes the folder options.out for this process, creating it for a new run. `model` describes the models
  /// of the run, whatever its tensors are; `metadata` are what the checkpoints say besides. Throws
  /// Error(usage) where a new run would write into the folder of another one, Error(data) where the folder
  /// cannot be used, Error(runtime) where another process trains in it.
  RunFolder(const TrainOptions& options, Model model, Metadata metadata);

  std::string metrics() const { return (path_ / "metrics.jsonl").string(); }
  /// Once, before the first step: from here on there is a checkpoint at every moment.
  void begin(const Trainer& trainer);
  /// Writes the checkpoint and the numbered one. A run goes on without them: what cannot be written is a
  /// warning. Weights that are not finite take no checkpoint's place.
  void save(const Trainer& trainer);
  /// Likewise; what could not be written comes with the next checkpoint.
  void save_best(std::int64_t steps, const ModelState& state);
  /// Writes evaluation.json; what cannot be written is a warning, once.
  void save_evaluation(const Trainer& trainer, const EpochResult& epoch, const std::vector<float>& logits);
  /// At the end: "", or why the last checkpoint could not be written and where it is now.
  std::string rescue(const Trainer& trainer);

 private:
  /// The description of the model after so many steps.
  Model model_after(std::int64_t steps, const ModelState& state) const;
  /// As it is written into that folder.
  CheckpointFile file_of(Checkpoint checkpoint, const std::filesystem::path& folder) const;
  void write_best(const Checkpoint& checkpoint) const;
  void attempt(const std::function<void()>& write);

  const TrainOptions& options_;
  std::filesystem::path path_;
  Model model_;
  Metadata metadata_;
  FolderLock lock_;
  std::string failure_;       ///< of the last attempt to write; "" where it was none
  bool best_is_due_ = false;  ///< it could not be written
  bool evaluation_failed_ = false;
};

/// Whether the name is that of a numbered checkpoint.
bool is_numbered(const std::filesystem::path& path);

}  // namespace bntrain::cli
