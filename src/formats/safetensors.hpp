// The safetensors format, https://github.com/huggingface/safetensors.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "bntrain/tensor.hpp"

namespace bntrain {

/// A safetensors file: tensors (F32 and I64) and the strings of `__metadata__`.
struct TensorFile {
  ModelState state;
  std::map<std::string, std::string> metadata;
};

/// The text with U+FFFD in place of what is not UTF-8, which a file system's names may hold, and JSON may
/// not.
std::string valid_utf8(const std::string& text);

/// Reads and checks a file: header length, JSON, types, shapes, offsets that overlap or leave gaps,
/// truncation. Throws Error(data) that names the file, the tensor or byte, and what was expected.
TensorFile read_safetensors(const std::filesystem::path& path);

/// As above, without the tensors that only a checkpoint has: those under "bntrain.".
TensorFile read_model_tensors(const std::filesystem::path& path);

/// Writes to a temporary file beside `path`, syncs and renames: a crash leaves the old file or the new one.
/// What is not UTF-8 in metadata is replaced, see valid_utf8(). Throws Error(data) with the reason of the
/// system.
void write_safetensors(const std::filesystem::path& path, const TensorFile& file);

}  // namespace bntrain
