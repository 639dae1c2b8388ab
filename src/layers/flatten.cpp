#include "layers/item_reader.hpp"

namespace bntrain {
namespace {

bool parse(ItemReader& reader, Layer& layer) {
  layer.text = "flatten";
  return reader.take("flatten");
}

Shape output_shape(const Layer& layer, const Complain&) {
  return {layer.input.size(), 1, 1, true};
}

}  // namespace

constinit const LayerType flatten_type{
    .kind = LayerKind::flatten,
    .help = "flatten",
    .parse = parse,
    .output_shape = output_shape,
    .shift = passes_shift,
};

}  // namespace bntrain
