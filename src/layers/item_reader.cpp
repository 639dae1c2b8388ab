#include "layers/item_reader.hpp"

#include <charconv>
#include <cmath>

#include "bntrain/error.hpp"

namespace bntrain {
namespace {

// Sizes above this are typing errors; it also keeps every sum of two of them far from overflow.
constexpr std::int64_t max_size = 1 << 24;

}  // namespace

std::string known_layers() {
  std::string list;
  for (const LayerType* type : layer_types()) list += (list.empty() ? "" : ", ") + std::string(type->help);
  return list + "; or a preset alone: " + preset_names();
}

bool ItemReader::take(std::string_view word) {
  if (!rest_.starts_with(word)) return false;
  rest_.remove_prefix(word.size());
  return true;
}

std::int64_t ItemReader::number(const char* what, std::int64_t smallest) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
  // from_chars would take a minus sign
  if (rest_.starts_with('-') || error == std::errc::invalid_argument)
    fail(std::string(what) + " is missing; layers are " + known_layers());
  if (error == std::errc::result_out_of_range || value < smallest || value > max_size)
    fail(std::string(what) + " must be " + std::to_string(smallest) + " to " + std::to_string(max_size));
  rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
  return value;
}

bool ItemReader::take_decimal(double& value) {
  if (rest_.empty() || rest_.front() == '-') return false;
  const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
  if (error != std::errc() || !std::isfinite(value)) return false;
  rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
  return true;
}

void ItemReader::fail(const std::string& problem) const {
  complain_(problem);
  throw_broken_precondition("complain throws", __FILE__, __LINE__);
}

void ItemReader::take_bias(Layer& layer) {
  layer.bias = !take(no_bias);
  if (!layer.bias) layer.text += no_bias;
}

}  // namespace bntrain
