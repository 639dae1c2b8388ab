// The four IDX files of a data set: how they fit together.
#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <string_view>

#include "bntrain/dataset.hpp"

namespace bntrain {

/// In the order of training images and labels, test images and labels; the latter two are empty where the
/// test set is missing.
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

/// Reads the files of find_idx_files() at the same time and checks each and all together, see
/// load_idx_dataset().
IdxFolder read_idx_folder(const std::filesystem::path& place, const DataNeeds& needs);

}  // namespace bntrain
