#include "layers/item_reader.hpp"

namespace bntrain {
namespace {

bool parse(ItemReader& reader, Layer& layer) {
  if (!reader.take("fc")) return false;
  layer.outputs = reader.number("the number of outputs", 1);
  layer.text = "fc" + std::to_string(layer.outputs);
  reader.take_bias(layer);
  return true;
}

Shape output_shape(const Layer& layer, const Complain&) {
  return {layer.outputs, 1, 1, true};
}

std::vector<ParameterSpec> parameters(const Layer& layer) {
  const std::int64_t from = layer.input.size(), to = layer.outputs;
  std::vector<ParameterSpec> specs{{TensorRole::weight, {to, from}, from, to}};
  if (layer.bias) specs.push_back({TensorRole::bias, {to}, from, to});
  return specs;
}

}  // namespace

constinit const LayerType linear_type{
    .kind = LayerKind::linear,
    .help = "fcOUT (both with nobias at the end when they have none)",
    .parse = parse,
    .output_shape = output_shape,
    .parameters = parameters,
    .weighted = true,
    .shift = passes_shift,
};

}  // namespace bntrain
