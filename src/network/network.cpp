// Shape inference and parameters.
#include "bntrain/network.hpp"

#include <initializer_list>

#include "bntrain/error.hpp"
#include "network/text.hpp"

namespace bntrain {
namespace {

// More numbers than any machine trains on, yet far from overflowing int64 when multiplied by a batch size.
constexpr std::int64_t max_numbers = std::int64_t{1} << 40;

/// The product of positive factors, or max_numbers + 1 when it is beyond max_numbers.
std::int64_t bounded_product(std::initializer_list<std::int64_t> factors) {
  std::int64_t product = 1;
  for (const std::int64_t factor : factors) {
    if (factor > max_numbers / product) return max_numbers + 1;
    product *= factor;
  }
  return product;
}

std::int64_t round_up_to_line(std::int64_t floats) {
  return (floats + 15) / 16 * 16;
}

std::int64_t window_outputs(std::int64_t input, const TextLayer& layer) {
  return (input + 2 * layer.padding - layer.kernel) / layer.stride + 1;
}

Shape output_shape(const TextLayer& layer, const Shape& input) {
  const bool window = layer.kind == LayerKind::conv || layer.kind == LayerKind::max_pool;
  if (window) {
    if (input.flat) {
      throw_layer_error(layer, "needs an image, but its input " + to_string(input) +
                                   " is flat; write it before flatten and before the first fc");
    }
    const std::int64_t largest = std::min(input.height, input.width) + 2 * layer.padding;
    if (layer.kernel > largest) {
      throw_layer_error(layer, "the kernel " + std::to_string(layer.kernel) + " does not fit its input " +
                                   to_string(input) + "; here the largest is " + std::to_string(largest));
    }
  }
  switch (layer.kind) {
    case LayerKind::conv:
    case LayerKind::max_pool:
      return {layer.kind == LayerKind::conv ? layer.outputs : input.channels,
              window_outputs(input.height, layer), window_outputs(input.width, layer), false};
    case LayerKind::flatten:
      return {input.size(), 1, 1, true};
    case LayerKind::linear:
      return {layer.outputs, 1, 1, true};
    case LayerKind::batch_norm:
    case LayerKind::relu:
      break;
  }
  return input;
}

void check_last_layer(const std::vector<TextLayer>& layers, std::int64_t classes) {
  const std::string wanted = "fc" + std::to_string(classes);
  if (layers.empty()) {
    throw Error(ErrorKind::usage,
                "the network has no layer left without its bn; the shortest is '" + wanted + "'");
  }
  const TextLayer& last = layers.back();
  if (last.kind != LayerKind::linear) {
    throw_layer_error(last, "the network must end with one output a class; append '," + wanted + "'");
  }
  if (last.outputs != classes) {
    throw_layer_error(last, "the last layer needs one output for each of the " + std::to_string(classes) +
                                " classes; write '" + wanted + "'");
  }
}

}  // namespace

Network Network::parse(std::string_view text, const Shape& input, std::int64_t classes, Norm norm) {
  BNTRAIN_EXPECTS(input.channels > 0 && input.height > 0 && input.width > 0 && classes > 0);
  BNTRAIN_EXPECTS(bounded_product({input.channels, input.height, input.width}) <= max_numbers);

  std::vector<TextLayer> items = parse_text(text, classes);
  if (norm == Norm::none) {
    std::erase_if(items, [](const TextLayer& item) { return item.kind == LayerKind::batch_norm; });
  }
  check_last_layer(items, classes);

  Network network;
  network.input_ = input;
  network.classes_ = classes;
  std::int64_t numbers = input.size();  // activations and parameters so far
  int weighted = 0, norms = 0;

  const auto count = [&](const TextLayer& item, std::initializer_list<std::int64_t> factors) {
    const std::int64_t more = bounded_product(factors);
    if (more > max_numbers - numbers) {
      throw_layer_error(item, "with its input " + to_string(network.layers_.back().input) +
                                  " the network needs more than 2^40 numbers");
    }
    numbers += more;
  };
  const auto add_layer = [&](const TextLayer& item) {
    Layer layer;
    layer.kind = item.kind;
    layer.text = item.text;
    layer.index = static_cast<int>(network.layers_.size());
    layer.kernel = item.kernel;
    layer.stride = item.stride;
    layer.padding = item.padding;
    layer.input = network.layers_.empty() ? input : network.layers_.back().output;
    layer.output = output_shape(item, layer.input);
    network.layers_.push_back(layer);
    count(item, {layer.output.channels, layer.output.height, layer.output.width});
  };
  const auto add_parameter = [&](const TextLayer& item, ParameterRole role, int ordinal, std::int64_t fan_in,
                                 std::vector<std::int64_t> shape) {
    const bool first = role == ParameterRole::weight || role == ParameterRole::gamma;
    std::int64_t size = 1;
    for (const std::int64_t extent : shape) size = bounded_product({size, extent});
    count(item, {size});
    Parameter parameter;
    parameter.layer = network.layers_.back().index;
    parameter.name = std::to_string(parameter.layer) + (first ? ".weight" : ".bias");
    parameter.shape = std::move(shape);
    parameter.role = role;
    parameter.ordinal = ordinal;
    parameter.fan_in = fan_in;
    parameter.size = size;
    parameter.offset = network.parameter_floats_;
    network.parameter_floats_ += round_up_to_line(size);
    network.parameters_.push_back(std::move(parameter));
  };

  for (const TextLayer& item : items) {
    network.text_ += (network.text_.empty() ? "" : ",") + item.text;
    const bool image = network.layers_.empty() ? !input.flat : !network.layers_.back().output.flat;
    if (item.kind == LayerKind::linear && image) {
      TextLayer flatten;
      flatten.kind = LayerKind::flatten;
      flatten.text = "flatten";
      flatten.position = item.position;
      add_layer(flatten);
    }
    add_layer(item);
    const Shape from = network.layers_.back().input;
    if (item.kind == LayerKind::conv) {
      const std::int64_t fan_in = bounded_product({from.channels, item.kernel, item.kernel});
      add_parameter(item, ParameterRole::weight, weighted, fan_in,
                    {item.outputs, from.channels, item.kernel, item.kernel});
      add_parameter(item, ParameterRole::bias, weighted++, fan_in, {item.outputs});
    } else if (item.kind == LayerKind::linear) {
      add_parameter(item, ParameterRole::weight, weighted, from.channels, {item.outputs, from.channels});
      add_parameter(item, ParameterRole::bias, weighted++, from.channels, {item.outputs});
    } else if (item.kind == LayerKind::batch_norm) {
      add_parameter(item, ParameterRole::gamma, norms, 1, {from.channels});
      add_parameter(item, ParameterRole::beta, norms++, 1, {from.channels});
      RunningStatistics running;
      running.layer = network.layers_.back().index;
      running.name = std::to_string(running.layer);
      running.channels = from.channels;
      running.mean_offset = network.running_floats_;
      running.var_offset = running.mean_offset + round_up_to_line(from.channels);
      network.running_floats_ = running.var_offset + round_up_to_line(from.channels);
      network.running_.push_back(std::move(running));
    }
  }
  return network;
}

std::int64_t Network::parameter_count() const {
  std::int64_t count = 0;
  for (const Parameter& parameter : parameters_) count += parameter.size;
  return count;
}

}  // namespace bntrain
