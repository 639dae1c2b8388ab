#include "train/mistakes.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <tuple>

#include "bntrain/error.hpp"
#include "core/confusion.hpp"

namespace bntrain {
namespace {

/// Pixels a side: enough to see what it is, little enough for 25 of them in a page.
constexpr std::int64_t longest_side = 64;

Json mistake_record(const Mistake& mistake, const ImageSet& images) {
  return {{"index", mistake.index},
          {"label", mistake.label},
          {"predicted", mistake.predicted},
          {"probability", nine_digits(mistake.probability)},
          {"label_probability", nine_digits(mistake.label_probability)},
          {"png", base64(png_of(images, mistake.index).bytes)}};
}

}  // namespace

std::vector<Mistake> worst_mistakes(std::span<const float> logits, std::span<const std::uint8_t> labels,
                                    std::int64_t classes, std::size_t most) {
  const auto width = static_cast<std::size_t>(classes);
  BNTRAIN_EXPECTS(logits.size() == labels.size() * width);
  std::vector<Mistake> mistakes;
  for (std::size_t image = 0; image < labels.size(); ++image) {
    const std::span<const float> answer = logits.subspan(image * width, width);
    const std::int64_t predicted = predicted_class(answer);
    if (predicted == undecided || predicted == labels[image]) continue;
    const std::vector<double> probabilities = softmax(answer);
    const Mistake mistake{static_cast<std::int64_t>(image), labels[image], predicted,
                          probabilities[static_cast<std::size_t>(predicted)], probabilities[labels[image]]};
    if (std::isfinite(mistake.probability) && std::isfinite(mistake.label_probability))
      mistakes.push_back(mistake);
  }
  const auto end = mistakes.begin() + static_cast<std::ptrdiff_t>(std::min(most, mistakes.size()));
  std::partial_sort(mistakes.begin(), end, mistakes.end(), [](const Mistake& a, const Mistake& b) {
    return std::tie(a.label_probability, a.index) < std::tie(b.label_probability, b.index);
  });
  mistakes.erase(end, mistakes.end());
  return mistakes;
}

Png png_of(const ImageSet& images, std::int64_t index) {
  const auto size = static_cast<std::size_t>(images.shape.size());
  return png(std::span(images.pixels).subspan(static_cast<std::size_t>(index) * size, size), images.shape,
             longest_side);
}

Json evaluation_details(const EpochResult& epoch, const Dataset& data, std::span<const float> logits) {
  const ConfusionMatrix confusion(data.classes, logits, data.test.labels);
  Json rows = Json::array();
  for (std::int64_t label = 0; label < data.classes; ++label) {
    Json& row = rows.emplace_back(Json::array());
    for (std::int64_t predicted = 0; predicted < data.classes; ++predicted)
      row.push_back(confusion.count(label, predicted));
  }
  Json mistakes = Json::array();
  for (const Mistake& mistake : worst_mistakes(logits, data.test.labels, data.classes))
    mistakes.push_back(mistake_record(mistake, data.test));
  return {{"epoch", epoch.epoch},
          {"step", epoch.steps},
          {"images", to_string(epoch.evaluated)},
          {"count", data.test.count},
          {"classes", class_names(data.name, data.classes)},
          {"confusion", std::move(rows)},
          {"undecided", confusion.undecided_count()},
          {"mistakes", std::move(mistakes)}};
}

}  // namespace bntrain
