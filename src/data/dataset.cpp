#include "bntrain/dataset.hpp"

#include <utility>

#include "bntrain/error.hpp"
#include "core/digest.hpp"
#include "data/idx_folder.hpp"
#include "data/idx_location.hpp"

namespace bntrain {
namespace {

void check_fashion_mnist(const IdxFolder& folder) {
  for (std::size_t i = 0; i < folder.files.size(); ++i) {
    if (folder.digests[i] == fashion_mnist_digests[i]) continue;
    throw Error(ErrorKind::data, "data",
                folder.files[i].string() +
                    ": this is not Fashion-MNIST: the SHA-256 of the unpacked contents is " +
                    folder.digests[i] + ", published is " + std::string(fashion_mnist_digests[i]) +
                    "; to use it anyway, name its folder: " + folder.files[i].parent_path().string());
  }
}

/// A folder that was not asked for, such as one in the HOME of another user, is no reason to stop.
bool may_have_idx_files(const std::filesystem::path& folder, std::string& refusal) {
  try {
    return has_idx_files(folder);
  } catch (const Error& error) {
    refusal = error.what();
    return false;
  }
}

Dataset search_fashion_mnist(const DataSearch& search, const DataNeeds& needs) {
  std::string looked_in;
  for (const std::filesystem::path& folder : search.folders) {
    if (folder.empty()) continue;  // else the current folder would be searched
    std::string refusal;
    if (may_have_idx_files(folder, refusal)) {
      IdxFolder found = read_idx_folder(folder, {.classes = needs.classes});
      check_fashion_mnist(found);
      return std::move(found.dataset);
    }
    looked_in += "\n  " + folder.string() + (refusal.empty() ? "" : " (passed over: " + refusal + ")");
  }
  throw Error(ErrorKind::data, "data",
              "there is no train-images-idx3-ubyte, raw or .gz, in any of these folders:" +
                  (looked_in.empty() ? "\n  (none to search)" : looked_in) + "\n" + how_to_get_fashion_mnist +
                  "\n(or name another folder, or \"synthetic\" for generated images)");
}

void update(Sha256& digest, const ImageSet& set) {
  const std::string sizes = to_string(set.shape) + " " + std::to_string(set.count) + "\n";
  digest.update(sizes);
  digest.update(set.pixels.data(), set.pixels.size());
  digest.update(set.labels.data(), set.labels.size());
}

}  // namespace

std::vector<std::string> class_names(const std::string& dataset, std::int64_t classes) {
  // Xiao, Rasul and Vollgraf 2017, arXiv 1708.07747
  static const std::vector<std::string> fashion_mnist = {"T-shirt/top", "Trouser",   "Pullover", "Dress",
                                                         "Coat",        "Sandal",    "Shirt",    "Sneaker",
                                                         "Bag",         "Ankle boot"};
  if (dataset == "fashion-mnist" && classes == 10) return fashion_mnist;
  std::vector<std::string> numbers;
  for (std::int64_t c = 0; c < classes; ++c) numbers.push_back(std::to_string(c));
  return numbers;
}

Dataset load_dataset(const std::string& data, const DataSearch& search, const DataNeeds& needs) {
  const std::string synthetic = "synthetic";
  if (data.empty()) return search_fashion_mnist(search, needs);
  if (data != synthetic && !data.starts_with(synthetic + ":")) return load_idx_dataset(data, needs);
  Dataset dataset = make_synthetic(data == synthetic ? SyntheticSpec{}
                                                     : parse_synthetic(data.substr(synthetic.size() + 1)));
  if (needs.classes && *needs.classes < dataset.classes) {
    throw Error(ErrorKind::data, data + ": the labels go up to " + std::to_string(dataset.classes - 1) +
                                     "; allowed is 0 to " + std::to_string(*needs.classes - 1) + ", for " +
                                     std::to_string(*needs.classes) + " classes");
  }
  if (needs.classes) dataset.classes = *needs.classes;
  return dataset;
}

Dataset load_idx_dataset(const std::filesystem::path& place, const DataNeeds& needs) {
  return read_idx_folder(place, needs).dataset;
}

std::string content_digest(const Dataset& dataset) {
  Sha256 digest;
  digest.update(std::to_string(dataset.classes) + "\n");
  update(digest, dataset.train);
  update(digest, dataset.test);
  return digest.hex();
}

}  // namespace bntrain
