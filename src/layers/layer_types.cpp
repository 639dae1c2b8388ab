#include <algorithm>

#include "layers/layer_type.hpp"

namespace bntrain {
namespace {

constexpr const LayerType* all[] = {
    &conv_type,     &linear_type,       &batch_norm_type, &activation_type_of_layers,
    &max_pool_type, &average_pool_type, &flatten_type,    &add_type};

}  // namespace

std::span<const LayerType* const> layer_types() {
  return all;
}

const LayerType& type_of(const Layer& layer) {
  return **std::ranges::find(all, layer.kind, &LayerType::kind);
}

std::int64_t bounded_product(const std::vector<std::int64_t>& factors) {
  std::int64_t product = 1;
  for (const std::int64_t factor : factors) {
    if (factor > max_elements / product) return max_elements + 1;
    product *= factor;
  }
  return product;
}

Shape same_shape(const Layer& layer, const Complain&) {
  return layer.input;
}

Shape window_shape(const Layer& layer, std::int64_t channels, const Complain& complain) {
  const Shape& in = layer.input;
  if (in.flat) {
    complain("needs an image, but its input " + to_string(in) +
             " is flat; write it before flatten and before the first fc");
  }
  const std::int64_t largest = std::min(in.height, in.width) + 2 * layer.padding;
  if (layer.kernel > largest) {
    complain("the kernel " + std::to_string(layer.kernel) + " does not fit its input " + to_string(in) +
             "; here the largest is " + std::to_string(largest));
  }
  const auto outputs = [&](std::int64_t extent) {
    return (extent + 2 * layer.padding - layer.kernel) / layer.stride + 1;
  };
  return {channels, outputs(in.height), outputs(in.width), false};
}

Shift passes_shift(const Layer&) {
  return Shift::passes;
}

}  // namespace bntrain
