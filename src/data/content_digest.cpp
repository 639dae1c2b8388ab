#include <string>

#include "bntrain/dataset.hpp"
#include "core/digest.hpp"

namespace bntrain {
namespace {

void update(Sha256& digest, const ImageSet& set) {
  const std::string sizes = to_string(set.shape) + " " + std::to_string(set.count) + "\n";
  digest.update(sizes);
  digest.update(set.pixels.data(), set.pixels.size());
  digest.update(set.labels.data(), set.labels.size());
}

}  // namespace

std::string content_digest(const Dataset& dataset) {
  Sha256 digest;
  digest.update(std::to_string(dataset.classes) + "\n");
  update(digest, dataset.train);
  update(digest, dataset.test);
  return digest.hex();
}

}  // namespace bntrain
