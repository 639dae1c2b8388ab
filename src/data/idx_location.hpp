// Where the four IDX files of a data set are.
#pragma once

#include <array>
#include <filesystem>
#include <string>

#include "data/idx.hpp"

namespace bntrain {

/// What helps when a file is missing.
inline constexpr const char* how_to_get_fashion_mnist =
    "scripts/train.sh installs Fashion-MNIST, and so does: sudo apt-get install dataset-fashion-mnist";

/// What the four files hold, in the order that is used everywhere: training images and labels, test
/// images and labels.
inline constexpr std::array<IdxKind, 4> idx_kinds = {IdxKind::images, IdxKind::labels, IdxKind::images,
                                                     IdxKind::labels};

struct IdxFiles {
  std::string name;                            ///< of the folder, or what the files' names begin with
  std::filesystem::path source;                ///< absolute: the folder, and after it that prefix
  std::array<std::filesystem::path, 4> paths;  ///< of the test set both empty where it may be missing and is

  bool has_test_set() const { return !paths[2].empty(); }
};

/// Whether the folder holds any of train-images, train-labels, t10k-images, t10k-labels, under any of their
/// names. Throws Error(data) where the system refuses to say.
bool has_idx_files(const std::filesystem::path& folder);

/// The four files in the folder `place`: train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-...,
/// t10k-labels-... (or test-), in capital or small letters, with ".", "-" or "_" between, with another number
/// of dimensions or type, with or without .gz. A folder of such a name is looked into, as some archives
/// unpack. As in EMNIST's archive, all may begin with a split's name: emnist-letters-train-images-idx3-ubyte.
/// A folder with several splits needs `place` = FOLDER/emnist-letters. Where `place` holds none of the files,
/// the only folder of at most two folders below it that does is taken, as in torchvision's FashionMNIST/raw.
/// Throws Error(data) that says what is missing, which sets there are, or what is there instead.
/// Unless `needs_test_set`, both test files may be missing.
IdxFiles find_idx_files(const std::filesystem::path& place, bool needs_test_set = true);

}  // namespace bntrain
