// All activations: what they are called stands in bntrain/activation.hpp.
#include "core/number_text.hpp"
#include "layers/item_reader.hpp"

namespace bntrain {
namespace {

constexpr double max_slope = 1000;  // above it is a typing error

bool parse(ItemReader& reader, Layer& layer) {
  for (const ActivationType& type : activation_types) {
    if (!reader.take(type.keyword)) continue;
    layer.activation = {type.kind, type.default_slope};
    layer.text = type.keyword;
    if (type.default_slope == 0) return true;
    if (double slope = 0; reader.take_decimal(slope)) {
      if (slope > max_slope) reader.fail("the slope must be 0 to " + shortest_text(max_slope));
      layer.activation.slope = static_cast<float>(slope);
      if (layer.activation.slope != type.default_slope) layer.text += shortest_text(slope);
    }
    return true;
  }
  return false;
}

Shift shift(const Layer&) {
  return Shift::changes;
}

}  // namespace

constinit const LayerType activation_type_of_layers{
    .kind = LayerKind::activation,
    .help = "relu, sigmoid, gelu, silu, leakyrelu (slope 0.01; leakyrelu0.2)",
    .parse = parse,
    .output_shape = same_shape,
    .shift = shift,
};

}  // namespace bntrain
