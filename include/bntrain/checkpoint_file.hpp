// Checkpoint files: a training run between two steps, as a safetensors file. docs/checkpoints.md describes
// them.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "bntrain/trainer.hpp"

namespace bntrain {

struct CheckpointFile {
  Checkpoint checkpoint;
  std::map<std::string, std::string> metadata;  ///< what the writer of the file said about the run
};

/// Writes the model under PyTorch's names, so that it can be read as a model file too, and the rest under
/// "bntrain.". No key of `metadata` may be one of the format's own: bntrain.format, bntrain.random,
/// bntrain.progress, bntrain.sha256. A crash leaves the old file or the new one, as write_safetensors() says.
void write_checkpoint(const std::filesystem::path& path, const CheckpointFile& file);

/// Throws Error(data) that names the file where it is missing, no checkpoint, of another format version, or
/// where its checksum does not fit: every byte that means something is covered by it.
CheckpointFile read_checkpoint(const std::filesystem::path& path);

}  // namespace bntrain
