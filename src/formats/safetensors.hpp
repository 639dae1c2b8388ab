// The safetensors format, https://github.com/huggingface/safetensors.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "bntrain/tensor.hpp"

namespace bntrain {

/// Bytes of names and metadata, as the reference implementation allows.
inline constexpr std::int64_t safetensors_max_header = 100'000'000;

/// A safetensors file: tensors and the strings of `__metadata__`.
struct TensorFile {
  ModelState state;
  std::map<std::string, std::string> metadata;
  std::vector<Remark> remarks = {};  ///< of the reader
};

/// The text with U+FFFD in place of what is not UTF-8, which a file system's names may hold, and JSON may
/// not.
std::string valid_utf8(const std::string& text);

/// Reads and checks a file: header length, JSON, types, shapes, offsets that overlap or leave gaps,
/// truncation. F16 and BF16 become float32 exactly, F64 is rounded, every integer type becomes int64; remarks
/// name the tensors. Throws Error(data) that names the file, the tensor or byte, and what was expected, or
/// the format that the file has instead.
TensorFile read_safetensors(const std::filesystem::path& path);

/// Its strings alone, without reading what the tensors hold. Throws Error(data) likewise.
std::map<std::string, std::string> read_strings(const std::filesystem::path& path);

/// As read_safetensors(), without the tensors and the strings that only a checkpoint has: those under
/// "bntrain.".
TensorFile read_model_tensors(const std::filesystem::path& path);

/// Writes to a temporary file beside `path`, syncs and renames: a crash leaves the old file or the new one.
/// What is not UTF-8 in metadata is replaced, see valid_utf8(). Throws Error(data) with the reason of the
/// system, or for what read_safetensors() would refuse.
void write_safetensors(const std::filesystem::path& path, const TensorFile& file);

}  // namespace bntrain
