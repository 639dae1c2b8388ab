// Shape inference and parameters.
#include "bntrain/network.hpp"

#include <algorithm>

#include "bntrain/error.hpp"
#include "network/text.hpp"

namespace bntrain {
namespace {

// More numbers than any machine trains on, yet far from overflowing int64 when multiplied by a batch size.
constexpr std::int64_t max_numbers = std::int64_t{1} << 40;

/// The product of positive factors, or max_numbers + 1 when it is beyond max_numbers.
std::int64_t bounded_product(const std::vector<std::int64_t>& factors) {
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
  const bool window = layer.kind == LayerKind::conv || layer.kind == LayerKind::max_pool ||
                      layer.kind == LayerKind::average_pool;
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
    case LayerKind::average_pool:
      return {layer.kind == LayerKind::conv ? layer.outputs : input.channels,
              window_outputs(input.height, layer), window_outputs(input.width, layer), false};
    case LayerKind::flatten:
      return {input.size(), 1, 1, true};
    case LayerKind::linear:
      return {layer.outputs, 1, 1, true};
    case LayerKind::batch_norm:
    case LayerKind::relu:
    case LayerKind::sigmoid:
      break;
  }
  return input;
}

Layer infer_layer(const TextLayer& item, int index, const Shape& input) {
  return {item.kind,   item.text,   index,
          item.kernel, item.stride, item.padding,
          item.bias,   input,       output_shape(item, input)};
}

/// Name, shape, role and fans of the layer's parameters.
std::vector<Parameter> layer_parameters(const Layer& layer) {
  std::vector<Parameter> parameters;
  const auto add = [&](const char* name, ParameterRole role, std::int64_t fan_in, std::int64_t fan_out,
                       std::vector<std::int64_t> shape) {
    Parameter parameter;
    parameter.name = std::to_string(layer.index) + name;
    parameter.shape = std::move(shape);
    parameter.role = role;
    parameter.layer = layer.index;
    parameter.fan_in = fan_in;
    parameter.fan_out = fan_out;
    parameters.push_back(std::move(parameter));
  };
  const std::int64_t from = layer.input.channels, to = layer.output.channels;
  if (layer.kind == LayerKind::conv) {
    const std::int64_t fan_in = bounded_product({from, layer.kernel, layer.kernel});
    const std::int64_t fan_out = bounded_product({to, layer.kernel, layer.kernel});
    add(".weight", ParameterRole::weight, fan_in, fan_out, {to, from, layer.kernel, layer.kernel});
    if (layer.bias) add(".bias", ParameterRole::bias, fan_in, fan_out, {to});
  } else if (layer.kind == LayerKind::linear) {
    add(".weight", ParameterRole::weight, from, to, {to, from});
    if (layer.bias) add(".bias", ParameterRole::bias, from, to, {to});
  } else if (layer.kind == LayerKind::batch_norm) {
    add(".weight", ParameterRole::gamma, 1, 1, {from});
    add(".bias", ParameterRole::beta, 1, 1, {from});
  }
  return parameters;
}

/// Adds a tensor's size to `numbers` and returns it; the error points at the layer that is too large.
std::int64_t count_numbers(const std::vector<std::int64_t>& shape, const Layer& layer, const TextLayer& item,
                           std::int64_t& numbers) {
  const std::int64_t size = bounded_product(shape);
  if (size > max_numbers - numbers) {
    throw_layer_error(item,
                      "is too large on its input " + to_string(layer.input) +
                          "; the parameters and the activations of one image may be 2^40 numbers together");
  }
  numbers += size;
  return size;
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
  Shape shape = input;
  int weighted = 0;

  const auto add_layer = [&](const TextLayer& item) {
    const Layer layer = infer_layer(item, static_cast<int>(network.layers_.size()), shape);
    count_numbers({layer.output.channels, layer.output.height, layer.output.width}, layer, item, numbers);
    const bool norm_layer = item.kind == LayerKind::batch_norm;
    for (Parameter& parameter : layer_parameters(layer)) {
      parameter.ordinal = norm_layer ? static_cast<int>(network.running_.size()) : weighted;
      parameter.size = count_numbers(parameter.shape, layer, item, numbers);
      parameter.offset = network.parameter_floats_;
      network.parameter_floats_ += round_up_to_line(parameter.size);
      network.parameters_.push_back(std::move(parameter));
    }
    if (item.kind == LayerKind::conv || item.kind == LayerKind::linear) ++weighted;
    if (norm_layer) {
      const std::int64_t line = round_up_to_line(shape.channels);
      network.running_.push_back({std::to_string(layer.index), layer.index, shape.channels,
                                  network.running_floats_, network.running_floats_ + line});
      network.running_floats_ += 2 * line;
    }
    shape = layer.output;
    network.layers_.push_back(layer);
  };

  for (const TextLayer& item : items) {
    network.text_ += (network.text_.empty() ? "" : ",") + item.text;
    if (item.kind == LayerKind::linear && !shape.flat) {
      TextLayer flatten;
      flatten.kind = LayerKind::flatten;
      flatten.text = "flatten";
      flatten.position = item.position;
      add_layer(flatten);
    }
    add_layer(item);
  }
  return network;
}

std::int64_t Network::parameter_count() const {
  std::int64_t count = 0;
  for (const Parameter& parameter : parameters_) count += parameter.size;
  return count;
}

}  // namespace bntrain
