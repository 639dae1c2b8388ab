// Data sets in formats that are not read.
#pragma once

#include <filesystem>
#include <string>

namespace bntrain {

/// Says what a folder without IDX files holds instead, and what to do: "it holds mnist.npz: this is a NumPy
/// archive (.npz); write it as IDX files: docs/data.md has the lines". "" where nothing is recognised. Looks
/// two folders deep.
std::string describe_foreign_data(const std::filesystem::path& folder);

}  // namespace bntrain
