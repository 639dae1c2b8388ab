#include <cmath>
#include <string>

#include "bntrain/dataset.hpp"
#include "bntrain/error.hpp"
#include "core/random.hpp"

namespace bntrain {
namespace {

void append_image(ImageSet& to, const ImageSet& from, std::int64_t index) {
  const std::int64_t size = from.shape.size();
  const auto first = from.pixels.begin() + index * size;
  to.pixels.insert(to.pixels.end(), first, first + size);
  to.labels.push_back(from.labels[static_cast<std::size_t>(index)]);
  ++to.count;
}

}  // namespace

Dataset hold_out(const Dataset& dataset, double fraction, std::uint64_t seed) {
  BNTRAIN_EXPECTS(fraction > 0 && fraction < 1);
  const std::int64_t count = dataset.train.count;
  const std::int64_t held = std::llround(fraction * static_cast<double>(count));
  if (held == 0 || held == count) {
    throw Error(ErrorKind::usage, "valid",
                "of the " + std::to_string(count) + " training images of " + dataset.name + ", " +
                    std::to_string(held) + " would be held out for validation; both parts need at least one");
  }
  std::vector<bool> is_held(static_cast<std::size_t>(count), false);
  const auto order = permutation(count, RandomStream(seed, RandomPurpose::validation, 0));
  for (std::int64_t i = 0; i < held; ++i)
    is_held[static_cast<std::size_t>(order[static_cast<std::size_t>(i)])] = true;

  Dataset split;
  split.name = dataset.name;
  split.source = dataset.source;
  split.classes = dataset.classes;
  split.known_digests = dataset.known_digests;
  split.train.shape = split.test.shape = dataset.train.shape;
  for (std::int64_t i = 0; i < count; ++i)
    append_image(is_held[static_cast<std::size_t>(i)] ? split.test : split.train, dataset.train, i);
  return split;
}

}  // namespace bntrain
