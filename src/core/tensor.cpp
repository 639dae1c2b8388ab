#include "bntrain/tensor.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "bntrain/error.hpp"

namespace bntrain {
namespace {

std::string sizes(const Shape& shape) {
  std::string text = std::to_string(shape.channels);
  if (!shape.flat) text += ", " + std::to_string(shape.height) + ", " + std::to_string(shape.width);
  return text;
}

}  // namespace

std::string to_string(const Shape& shape) {
  return "(" + sizes(shape) + ")";
}

std::string to_string(const Shape& shape, std::int64_t batch) {
  return "(" + std::to_string(batch) + ", " + sizes(shape) + ")";
}

std::int64_t Tensor::size() const {
  std::int64_t product = 1;
  for (const std::int64_t extent : shape) {
    BNTRAIN_EXPECTS(extent >= 0);
    BNTRAIN_EXPECTS(extent == 0 || product <= std::numeric_limits<std::int64_t>::max() / extent);
    product *= extent;
  }
  return product;
}

const std::vector<float>& Tensor::floats() const {
  BNTRAIN_EXPECTS(std::holds_alternative<std::vector<float>>(values));
  return std::get<std::vector<float>>(values);
}

std::vector<float>& Tensor::floats() {
  BNTRAIN_EXPECTS(std::holds_alternative<std::vector<float>>(values));
  return std::get<std::vector<float>>(values);
}

const Tensor* ModelState::find(std::string_view name) const {
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [name](const Tensor& tensor) { return tensor.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

const Tensor* first_non_finite(const ModelState& state) {
  for (const Tensor& tensor : state.tensors) {
    const auto* floats = std::get_if<std::vector<float>>(&tensor.values);
    if (floats != nullptr && !std::ranges::all_of(*floats, [](float value) { return std::isfinite(value); }))
      return &tensor;
  }
  return nullptr;
}

}  // namespace bntrain
