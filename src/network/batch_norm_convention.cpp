#include "network/batch_norm_convention.hpp"

#include <algorithm>
#include <charconv>

#include "bntrain/error.hpp"

namespace bntrain {
namespace {

constexpr const char *kBiased = "biased", *kUnbiased = "unbiased";

/// Numbers of at least 1 with commas between them, or nothing.
std::optional<std::vector<std::int64_t>> parse_values(const std::string& text) {
  std::vector<std::int64_t> values;
  const char* next = text.data();
  const char* const end = next + text.size();
  while (true) {
    std::int64_t value = 0;
    const auto [rest, error] = std::from_chars(next, end, value);
    if (error != std::errc() || value < 1) return std::nullopt;
    values.push_back(value);
    if (rest == end) return values;
    if (*rest != ',') return std::nullopt;
    next = rest + 1;
  }
}

}  // namespace

std::vector<BatchNormConvention> batch_norm_conventions() {
  return {{"tutorial", {.eps = 1e-5, .momentum = 0.9, .unbiased = false}},
          {"torch", {.eps = 1e-5, .momentum = 0.9, .unbiased = true}},
          {"keras", {.eps = 1e-3, .momentum = 0.99, .unbiased = false}},
          {"caffe", {.eps = 1e-5, .momentum = 0.999, .unbiased = true}},
          {"onnx", {.eps = 1e-5, .momentum = 0.9, .unbiased = false}}};
}

std::vector<std::int64_t> values_per_channel(const Network& network, std::int64_t batch_size) {
  std::vector<std::int64_t> values;
  for (const RunningStatistics& norm : network.running()) {
    values.push_back(batch_size * network.layer(norm.layer).output.spatial());
  }
  return values;
}

std::map<std::string, std::string> metadata_of(const RecordedVariance& variance) {
  std::string values;
  for (const std::int64_t value : variance.values)
    values += (values.empty() ? "" : ",") + std::to_string(value);
  return {{"bn-variance", variance.unbiased ? kUnbiased : kBiased}, {"bn-values", values}};
}

std::optional<RecordedVariance> recorded_variance(const Network& network,
                                                  const std::map<std::string, std::string>& metadata,
                                                  const std::string& where) {
  const auto variance = metadata.find("bn-variance"), values = metadata.find("bn-values");
  if (variance == metadata.end() || values == metadata.end()) return std::nullopt;
  const bool unbiased = variance->second == kUnbiased;
  if (!unbiased && variance->second != kBiased) {
    throw Error(ErrorKind::data, where + ": the metadata say bn-variance '" + variance->second +
                                     "', which is neither biased nor unbiased");
  }
  const auto numbers = parse_values(values->second);
  if (!numbers || numbers->size() != network.running().size()) {
    throw Error(ErrorKind::data, where + ": the metadata say bn-values '" + values->second +
                                     "', which are not one whole number for each of the " +
                                     std::to_string(network.running().size()) + " batch norms");
  }
  return RecordedVariance{unbiased, *numbers};
}

ModelState convert_running_variance(const Network& network, ModelState state, const RecordedVariance& from,
                                    bool to_unbiased) {
  if (from.unbiased == to_unbiased) return state;
  BNTRAIN_EXPECTS(from.values.size() == network.running().size());
  for (std::size_t i = 0; i < from.values.size(); ++i) {
    const Layer& layer = network.layer(network.running()[i].layer);
    const std::string name = tensor_name(layer, TensorRole::running_var);
    const auto tensor = std::ranges::find(state.tensors, name, &Tensor::name);
    BNTRAIN_EXPECTS(tensor != state.tensors.end());
    const auto n = static_cast<double>(from.values[i]);
    if (n <= 1) continue;
    const double factor = to_unbiased ? n / (n - 1) : (n - 1) / n;
    for (float& var : tensor->floats()) var = static_cast<float>(factor * var);
  }
  return state;
}

}  // namespace bntrain
