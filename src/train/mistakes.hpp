// Which images a model answers wrongly, and what an evaluation tells about them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "bntrain/dataset.hpp"
#include "bntrain/train.hpp"
#include "formats/png.hpp"
#include "train/records.hpp"

namespace bntrain {

/// How many mistakes reports show.
inline constexpr std::size_t shown_mistakes = 25;

/// An image that was classified incorrectly.
struct Mistake {
  std::int64_t index = 0;  ///< in its set
  std::int64_t label = 0;
  std::int64_t predicted = 0;
  double probability = 0;        ///< of `predicted`
  double label_probability = 0;  ///< of `label`
};

/// The mistakes of the lowest probabilities of the label, at most `most`, in ascending order of them, then of
/// the index. Logits are [image][class]. An image whose probabilities are not finite is none of them.
std::vector<Mistake> worst_mistakes(std::span<const float> logits, std::span<const std::uint8_t> labels,
                                    std::int64_t classes, std::size_t most = shown_mistakes);

/// Image number `index` as the small PNG that reports show.
Png png_of(const ImageSet& images, std::int64_t index);

/// The evaluation that ended `epoch`, from its logits [image][class] of data.test: the confusion matrix and
/// the worst mistakes with their pictures, as docs/record.md describes them.
Json evaluation_details(const EpochResult& epoch, const Dataset& data, std::span<const float> logits);

}  // namespace bntrain
