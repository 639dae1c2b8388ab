// Pooling over windows that do not overlap; rows and columns that fill no window are dropped.
#include "layers/item_reader.hpp"

namespace bntrain {
namespace {

bool parse_window(ItemReader& reader, Layer& layer, std::string_view keyword) {
  if (!reader.take(keyword)) return false;
  layer.kernel = layer.stride = reader.number("the window", 2);
  layer.text = std::string(keyword) + std::to_string(layer.kernel);
  return true;
}

bool parse_maximum(ItemReader& reader, Layer& layer) {
  return parse_window(reader, layer, "maxpool");
}

bool parse_average(ItemReader& reader, Layer& layer) {
  return parse_window(reader, layer, "avgpool");
}

Shape output_shape(const Layer& layer, const Complain& complain) {
  return window_shape(layer, layer.input.channels, complain);
}

}  // namespace

constinit const LayerType max_pool_type{
    .kind = LayerKind::max_pool,
    .help = "maxpoolK",
    .parse = parse_maximum,
    .output_shape = output_shape,
    .shift = passes_shift,
};

constinit const LayerType average_pool_type{
    .kind = LayerKind::average_pool,
    .help = "avgpoolK",
    .parse = parse_average,
    .output_shape = output_shape,
    .shift = passes_shift,
};

}  // namespace bntrain
