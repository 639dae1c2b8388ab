#include "layers/item_reader.hpp"

namespace bntrain {
namespace {

bool parse(ItemReader& reader, Layer& layer) {
  if (!reader.take("conv")) return false;
  layer.outputs = reader.number("the number of output channels", 1);
  if (!reader.take("x")) reader.fail("xK, the kernel, is missing; layers are " + known_layers());
  layer.kernel = reader.number("the kernel", 1);
  if (reader.take("s")) layer.stride = reader.number("the stride", 1);
  if (reader.take("p")) layer.padding = reader.number("the padding", 0);
  if (layer.padding >= layer.kernel)
    reader.fail("the padding must be smaller than the kernel " + std::to_string(layer.kernel));
  layer.text = "conv" + std::to_string(layer.outputs) + "x" + std::to_string(layer.kernel);
  if (layer.stride != 1) layer.text += "s" + std::to_string(layer.stride);
  if (layer.padding != 0) layer.text += "p" + std::to_string(layer.padding);
  reader.take_bias(layer);
  return true;
}

Shape output_shape(const Layer& layer, const Complain& complain) {
  return window_shape(layer, layer.outputs, complain);
}

std::vector<ParameterSpec> parameters(const Layer& layer) {
  const std::int64_t from = layer.input.channels, to = layer.outputs, k = layer.kernel;
  const std::int64_t fan_in = bounded_product({from, k, k}), fan_out = bounded_product({to, k, k});
  std::vector<ParameterSpec> specs{{TensorRole::weight, {to, from, k, k}, fan_in, fan_out}};
  if (layer.bias) specs.push_back({TensorRole::bias, {to}, fan_in, fan_out});
  return specs;
}

/// Beside a border of zeros a shift is another one at the edge.
Shift shift(const Layer& layer) {
  return layer.padding == 0 ? Shift::passes : Shift::changes;
}

}  // namespace

constinit const LayerType conv_type{
    .kind = LayerKind::conv,
    .help = "convOUTxK (with sSTRIDE and pPAD when wanted: conv20x5s2p1)",
    .parse = parse,
    .output_shape = output_shape,
    .parameters = parameters,
    .weighted = true,
    .shift = shift,
};

}  // namespace bntrain
