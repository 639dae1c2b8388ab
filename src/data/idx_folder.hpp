// The four IDX files of a folder: where they are and how they fit together.
#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <string_view>

#include "bntrain/dataset.hpp"

namespace bntrain {

/// In the order of the names: train-images, train-labels, t10k-images, t10k-labels.
struct IdxFolder {
  Dataset dataset;
  std::array<std::filesystem::path, 4> files;
  std::array<std::string, 4> digests;  ///< SHA-256 of the unpacked contents
};

/// The published digests of Fashion-MNIST (Xiao et al. 2017, arXiv 1708.07747), in the same order.
inline constexpr std::array<std::string_view, 4> fashion_mnist_digests = {
    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
};

/// What helps when a file is missing.
inline constexpr const char* how_to_get_fashion_mnist =
    "scripts/train.sh installs Fashion-MNIST, and so does: sudo apt-get install dataset-fashion-mnist";

/// Whether the folder holds any of the four files, under any of their names. Throws Error(data) where the
/// system refuses to say.
bool has_idx_files(const std::filesystem::path& folder);

/// Reads the four files at the same time and checks each and all together, see load_idx_dataset().
IdxFolder read_idx_folder(const std::filesystem::path& folder);

}  // namespace bntrain
