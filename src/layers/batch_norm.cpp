#include "layers/item_reader.hpp"

namespace bntrain {
namespace {

bool parse(ItemReader& reader, Layer& layer) {
  layer.text = "bn";
  return reader.take("bn");
}

std::vector<ParameterSpec> parameters(const Layer& layer) {
  return {{TensorRole::gamma, {layer.input.channels}, 1, 1},
          {TensorRole::beta, {layer.input.channels}, 1, 1}};
}

Shift removes_shift(const Layer&) {
  return Shift::removed;
}

}  // namespace

constinit const LayerType batch_norm_type{
    .kind = LayerKind::batch_norm,
    .help = "bn",
    .parse = parse,
    .output_shape = same_shape,
    .parameters = parameters,
    .normalizes = true,
    .shift = removes_shift,
};

}  // namespace bntrain
