// Labelled images as bytes, where they come from, and the checks they must pass.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "bntrain/tensor.hpp"

namespace bntrain {

/// A training and a test set over the same classes.
struct Dataset {
  std::string name;    ///< "fashion-mnist", "synthetic", or the folder's or files' name (digests unknown)
  std::string source;  ///< the folder (and NAME), or the synthetic description, as resolved
  std::int64_t classes = 10;
  ImageSet train;
  ImageSet test;               ///< its count is 0 where there is none
  bool known_digests = false;  ///< all four files carry the published SHA-256 digests
};

/// The names of Fashion-MNIST's ten classes for a data set called "fashion-mnist", else "0", "1", ...
std::vector<std::string> class_names(const std::string& dataset, std::int64_t classes);

/// Where load_dataset() looks when no folder is named, in this order. The caller resolves the environment.
struct DataSearch {
  std::vector<std::filesystem::path> folders;
};

/// What the reader of a data set asks of it.
struct DataNeeds {
  /// More than every label; classes without images are fine then. Without it the largest training label
  /// tells, and a class without training images between others is refused (class 0 may be empty: some sets
  /// count from 1).
  std::optional<std::int64_t> classes = {};
  bool test_set = true;  ///< else the files of the test set may be missing, and its count is 0
};

/// Loads the data set that `data` names:
///   ""               the first folder of `search` that holds any of the four IDX files; its digests must be
///                    Fashion-MNIST's
///   "synthetic[:key=value,...]"   a generated data set, see parse_synthetic()
///   anything else    a folder with the four IDX files (raw or gzip, both spellings of the names), or
///                    FOLDER/NAME where their names begin with NAME-, as in EMNIST's archive
/// Throws Error(data) that names the file and byte offset; Error(usage) for a malformed synthetic
/// description.
Dataset load_dataset(const std::string& data, const DataSearch& search, const DataNeeds& needs = {});

/// Reads the four IDX files of a folder, or of FOLDER/NAME as above (format: LeCun's MNIST page), and checks
/// all of: magic, dimensions, promised against present bytes, trailing bytes, equal counts, equal image
/// shapes, label range, emptiness.
Dataset load_idx_dataset(const std::filesystem::path& place, const DataNeeds& needs = {});

/// A generated, learnable data set: each class has a fixed random pattern, each image is its class's pattern
/// mixed with uniform noise. The bytes depend on these values alone.
struct SyntheticSpec {
  Shape shape{1, 12, 12, false};
  std::int64_t classes = 10;
  std::int64_t train = 2048;
  std::int64_t test = 512;
  std::uint64_t seed = 0;
  double noise = 0.5;  ///< share of noise in each pixel, 0 to 1
};

/// Parses "shape=1x12x12,classes=10,train=2048,test=512,seed=0,noise=0.5" (all optional).
/// Throws Error(usage) that names the key, the value and what is allowed.
SyntheticSpec parse_synthetic(const std::string& description);

Dataset make_synthetic(const SyntheticSpec& spec);

/// Takes `fraction` of the training images (to the nearest whole image) out of the training set and makes
/// them the test set of the result, for validation while `dataset.test` stays unused. Which ones depends on
/// their number and the seed alone; both parts keep the order of the images. Throws Error(usage) when a part
/// would be empty.
Dataset hold_out(const Dataset& dataset, double fraction, std::uint64_t seed);

/// SHA-256 over the content of a data set: shapes, counts, classes, pixels and labels.
std::string content_digest(const Dataset& dataset);

}  // namespace bntrain
