// Files of other formats that are given where safetensors are expected.
#pragma once

#include <filesystem>
#include <string>

namespace bntrain {

/// What the file is, by its first bytes (of a TensorFlow index its last, of a TensorFlow shard its name), and
/// what to do about it, such as the Python that converts it: "is a NumPy archive; convert it: ...". "" where
/// that cannot be told.
std::string describe_foreign_file(const std::filesystem::path& path);

}  // namespace bntrain
