#include <charconv>
#include <cmath>
#include <optional>

#include "bntrain/error.hpp"
#include "bntrain/network.hpp"
#include "core/number_text.hpp"

namespace bntrain {
namespace {

std::string list(const std::vector<double>& values) {
  std::string text;
  for (const double value : values) text += (text.empty() ? "" : ",") + shortest_text(value);
  return text;
}

std::optional<std::vector<double>> parse_list(std::string_view text) {
  std::vector<double> values;
  while (true) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    // Kernels compute in float32.
    if (error != std::errc() || !std::isfinite(static_cast<float>(value))) return std::nullopt;
    values.push_back(value);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (text.empty()) return values;
    if (!text.starts_with(',')) return std::nullopt;
    text.remove_prefix(1);
  }
}

}  // namespace

Normalization Normalization::parse(std::string_view text) {
  if (text.empty()) return {};
  const std::size_t slash = text.find('/');
  const auto mean = parse_list(text.substr(0, slash));
  const auto std = slash == std::string_view::npos ? std::nullopt : parse_list(text.substr(slash + 1));
  bool right = mean && std && mean->size() == std->size();
  if (right)
    for (const double value : *std) right = right && static_cast<float>(value) > 0;
  if (!right) {
    throw Error(
        ErrorKind::usage, "normalize",
        "'" + std::string(text) +
            "'; allowed: MEAN/STD, or with a value for each channel MEAN,MEAN,MEAN/STD,STD,STD, of pixels "
            "from 0 to 1, each STD above 0, such as 0.1307/0.3081");
  }
  return {*mean, *std};
}

std::string Normalization::text() const {
  return any() ? list(mean) + "/" + list(std) : "";
}

Normalization Normalization::for_channels(std::int64_t channels) const {
  const auto size = static_cast<std::size_t>(channels);
  if (!any() || mean.size() == size) return *this;
  if (mean.size() == 1) return {std::vector(size, mean[0]), std::vector(size, std[0])};
  throw Error(ErrorKind::usage, "normalize",
              text() + " is for " + std::to_string(mean.size()) + " channels, and the images have " +
                  std::to_string(channels));
}

}  // namespace bntrain
