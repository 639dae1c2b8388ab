#include "data/idx_folder.hpp"

#include <algorithm>
#include <future>
#include <utility>

#include "bntrain/error.hpp"
#include "data/idx_location.hpp"

namespace bntrain {
namespace {

namespace fs = std::filesystem;

std::array<IdxFile, 4> read_all(const std::array<fs::path, 4>& files) {
  std::array<std::future<IdxFile>, 4> readers;
  // Without a launch policy, a system that is out of threads makes get() read the file itself.
  for (std::size_t i = 0; i < files.size(); ++i)
    if (!files[i].empty()) readers[i] = std::async(read_idx, files[i], idx_kinds[i]);
  std::array<IdxFile, 4> contents;
  for (std::size_t i = 0; i < files.size(); ++i)
    if (readers[i].valid()) contents[i] = readers[i].get();
  return contents;
}

void check_counts(const IdxFile& images, const IdxFile& labels) {
  if (images.count() == labels.count()) return;
  throw Error(ErrorKind::data, labels.size_location(0) + ": " + std::to_string(labels.count()) +
                                   " labels, but " + images.path.string() + " has " +
                                   std::to_string(images.count()) + " images");
}

std::string image_size(const IdxFile& file) {
  const Shape& shape = file.shape;
  return (shape.channels == 1 ? "" : std::to_string(shape.channels) + "x") + std::to_string(shape.height) +
         "x" + std::to_string(shape.width);
}

void check_same_image_size(const IdxFile& train, const IdxFile& test) {
  if (train.shape == test.shape) return;
  std::int64_t dimension = 1;
  if (train.sizes.size() == test.sizes.size())
    while (train.sizes[static_cast<std::size_t>(dimension)] ==
           test.sizes[static_cast<std::size_t>(dimension)])
      ++dimension;
  throw Error(ErrorKind::data, test.size_location(dimension) + ": the test images are " + image_size(test) +
                                   ", but " + train.path.string() + " has training images of " +
                                   image_size(train));
}

using ClassCounts = std::array<std::int64_t, 256>;

ClassCounts count_images(const IdxFile& labels) {
  ClassCounts counts{};
  for (const std::uint8_t label : labels.values) ++counts[label];
  return counts;
}

/// "0: 6000, 1: 5980, 200: 1"
std::string list(const ClassCounts& counts) {
  std::string text;
  for (std::size_t c = 0; c < counts.size(); ++c)
    if (counts[c] > 0)
      text += (text.empty() ? "" : ", ") + std::to_string(c) + ": " + std::to_string(counts[c]);
  return text;
}

std::int64_t first_of(const IdxFile& labels, std::int64_t label) {
  return std::ranges::find(labels.values, label) - labels.values.begin();
}

/// One more than the largest training label. Class 0 may be empty, as in EMNIST letters, whose labels begin
/// with 1; any other hole is more likely a wrong byte than a class without images.
std::int64_t count_classes(const IdxFile& labels) {
  const std::int64_t largest = *std::ranges::max_element(labels.values);
  if (largest == 0) {
    throw Error(ErrorKind::data,
                labels.value_location(0) + ": every training label is 0; at least 2 classes are needed");
  }
  const ClassCounts counts = count_images(labels);
  const auto hole = std::find(counts.begin() + 1, counts.begin() + largest, 0);
  if (hole == counts.begin() + largest) return largest + 1;
  const auto after = std::find_if(hole, counts.end(), [](std::int64_t count) { return count > 0; });
  const std::int64_t empty = hole - counts.begin(), next = after - counts.begin();
  throw Error(ErrorKind::data, "classes",
              labels.label_location(first_of(labels, next)) + ": the label is " + std::to_string(next) +
                  ", but " +
                  (next == empty + 1
                       ? "class " + std::to_string(empty) + " has"
                       : "classes " + std::to_string(empty) + " to " + std::to_string(next - 1) + " have") +
                  " no training image (images by class: " + list(counts) +
                  "); if that is right, name the number of "
                  "classes, " +
                  std::to_string(largest + 1) + " or more");
}

void check_labels(const IdxFile& labels, std::int64_t classes, const std::string& reason) {
  const auto is_bad = [&](std::uint8_t label) { return label >= classes; };
  const auto bad = std::ranges::find_if(labels.values, is_bad);
  if (bad == labels.values.end()) return;
  throw Error(ErrorKind::data, labels.label_location(bad - labels.values.begin()) + ": the label is " +
                                   std::to_string(*bad) + "; allowed is 0 to " + std::to_string(classes - 1) +
                                   ", " + reason + " (" +
                                   std::to_string(std::ranges::count_if(labels.values, is_bad)) + " of " +
                                   std::to_string(labels.count()) + " labels are larger)");
}

ImageSet make_image_set(IdxFile& images, IdxFile& labels) {
  return {images.shape, images.count(), std::move(images.values), std::move(labels.values)};
}

}  // namespace

IdxFolder read_idx_folder(const fs::path& place, const DataNeeds& needs) {
  IdxFolder result;
  const IdxFiles files = find_idx_files(place, needs.test_set);
  result.files = files.paths;
  auto [train_images, train_labels, test_images, test_labels] = read_all(result.files);
  check_counts(train_images, train_labels);

  Dataset& dataset = result.dataset;
  dataset.classes = needs.classes ? *needs.classes : count_classes(train_labels);
  const std::string reason =
      needs.classes ? "for " + std::to_string(dataset.classes) + " classes" : "the largest training label";
  check_labels(train_labels, dataset.classes, reason);
  if (files.has_test_set()) {
    check_counts(test_images, test_labels);
    check_same_image_size(train_images, test_images);
    check_labels(test_labels, dataset.classes, reason);
    dataset.test = make_image_set(test_images, test_labels);
  } else {
    dataset.test.shape = train_images.shape;
  }
  result.digests = {train_images.sha256, train_labels.sha256, test_images.sha256, test_labels.sha256};
  dataset.known_digests =
      std::equal(result.digests.begin(), result.digests.end(), fashion_mnist_digests.begin());
  dataset.source = files.source.string();
  dataset.name = dataset.known_digests ? "fashion-mnist" : files.name;
  dataset.train = make_image_set(train_images, train_labels);
  return result;
}

}  // namespace bntrain
