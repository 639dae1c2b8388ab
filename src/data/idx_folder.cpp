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
  for (std::size_t i = 0; i < files.size(); ++i) readers[i] = std::async(read_idx, files[i], idx_kinds[i]);
  std::array<IdxFile, 4> contents;
  for (std::size_t i = 0; i < files.size(); ++i) contents[i] = readers[i].get();
  return contents;
}

void check_counts(const IdxFile& images, const IdxFile& labels) {
  if (images.count() == labels.count()) return;
  throw Error(ErrorKind::data, labels.size_location(0) + ": " + std::to_string(labels.count()) +
                                   " labels, but " + images.path.string() + " has " +
                                   std::to_string(images.count()) + " images");
}

void check_same_image_size(const IdxFile& train, const IdxFile& test) {
  for (const int dimension : {1, 2}) {
    const auto i = static_cast<std::size_t>(dimension);
    if (train.sizes[i] == test.sizes[i]) continue;
    const auto size = [](const IdxFile& file) {
      return std::to_string(file.sizes[1]) + "x" + std::to_string(file.sizes[2]);
    };
    throw Error(ErrorKind::data, test.size_location(dimension) + ": the test images are " + size(test) +
                                     ", but " + train.path.string() + " has training images of " +
                                     size(train));
  }
}

std::int64_t count_classes(const IdxFile& train_labels) {
  const std::uint8_t largest = *std::max_element(train_labels.values.begin(), train_labels.values.end());
  if (largest == 0) {
    throw Error(ErrorKind::data, train_labels.value_location(0) +
                                     ": every training label is 0; at least 2 classes are needed");
  }
  return std::int64_t{largest} + 1;
}

void check_labels(const IdxFile& labels, std::int64_t classes) {
  const auto bad = std::find_if(labels.values.begin(), labels.values.end(),
                                [&](std::uint8_t label) { return label >= classes; });
  if (bad == labels.values.end()) return;
  throw Error(ErrorKind::data, labels.value_location(bad - labels.values.begin()) + ": the label is " +
                                   std::to_string(*bad) + "; allowed is 0 to " + std::to_string(classes - 1) +
                                   ", the largest training label");
}

ImageSet make_image_set(IdxFile& images, IdxFile& labels) {
  return {{1, images.sizes[1], images.sizes[2], false},
          images.count(),
          std::move(images.values),
          std::move(labels.values)};
}

}  // namespace

IdxFolder read_idx_folder(const fs::path& place) {
  IdxFolder result;
  const IdxFiles files = find_idx_files(place);
  result.files = files.paths;
  auto [train_images, train_labels, test_images, test_labels] = read_all(result.files);
  check_counts(train_images, train_labels);
  check_counts(test_images, test_labels);
  check_same_image_size(train_images, test_images);

  Dataset& dataset = result.dataset;
  dataset.classes = count_classes(train_labels);
  check_labels(test_labels, dataset.classes);
  result.digests = {train_images.sha256, train_labels.sha256, test_images.sha256, test_labels.sha256};
  dataset.known_digests =
      std::equal(result.digests.begin(), result.digests.end(), fashion_mnist_digests.begin());
  dataset.source = files.source.string();
  dataset.name = dataset.known_digests ? "fashion-mnist" : files.name;
  dataset.train = make_image_set(train_images, train_labels);
  dataset.test = make_image_set(test_images, test_labels);
  return result;
}

}  // namespace bntrain
