// From the text to layers with shapes and places, and to parameters.
#include "bntrain/network.hpp"

#include <utility>

#include "bntrain/error.hpp"
#include "layers/layer_type.hpp"
#include "network/text.hpp"

namespace bntrain {
namespace {

std::int64_t round_up_to_line(std::int64_t floats) {
  return (floats + 15) / 16 * 16;
}

void check_last_layer(const std::vector<TextItem>& items, std::int64_t classes) {
  const std::string wanted = "fc" + std::to_string(classes);
  if (items.empty()) {
    throw Error(ErrorKind::usage,
                "the network has no layer left without its bn; the shortest is '" + wanted + "'");
  }
  const TextItem& last = items.back();
  if (last.layer.kind != LayerKind::linear) {
    const bool inside = last.is_residual() && last.body.back().layer.kind == LayerKind::linear;
    throw_layer_error(last,
                      "the network must end with one output a class; " +
                          (inside ? "write '" + wanted + "' after the residual block instead of in its body"
                                  : "append '," + wanted + "'"));
  }
  if (last.layer.outputs != classes) {
    throw_layer_error(last, "the last layer needs one output for each of the " + std::to_string(classes) +
                                " classes; write '" + wanted + "'");
  }
}

}  // namespace

/// Adds the items of a text to a network, branch by branch.
class NetworkBuilder {
 public:
  NetworkBuilder(Network& network, const Shape& input, std::int64_t classes) : network_(network) {
    network_.input_ = input;
    network_.classes_ = classes;
    elements_ = input.size();
  }

  void build(const std::vector<TextItem>& items) {
    network_.text_ = to_text(items);
    add_sequence(items, "", network_input);
    place_parameters();
  }

 private:
  const Shape& shape_of(int position) const {
    return position == network_input ? network_.input_ : network_.layer(position).output;
  }

  /// Returns the position of the last layer, `input` where there is none.
  int add_sequence(const std::vector<TextItem>& items, const std::string& prefix, int input) {
    int place = 0;  // in the torch.nn.Sequential
    const auto next_name = [&] { return prefix + std::to_string(place++); };
    for (const TextItem& item : items) {
      if (item.layer.kind == LayerKind::linear && !shape_of(input).flat) {
        TextItem flatten = item;
        flatten.layer = Layer{.kind = LayerKind::flatten, .text = "flatten", .item = item.layer.item};
        input = add_layer(flatten, next_name(), {input});
      }
      const std::string name = next_name();
      std::vector<int> inputs{input};
      if (item.is_residual()) {
        const int body = add_sequence(item.body, name + ".body.", input);
        const int shortcut = add_sequence(item.shortcut, name + ".shortcut.", input);
        expect_equal_shapes(item, shape_of(body), shape_of(shortcut));
        inputs = {body, shortcut};
      }
      input = add_layer(item, name, inputs);
    }
    return input;
  }

  static void expect_equal_shapes(const TextItem& item, const Shape& body, const Shape& shortcut) {
    if (body == shortcut) return;
    throw_layer_error(item, "its body gives " + to_string(body) + " and its " +
                                (item.shortcut.empty() ? "input is " : "shortcut gives ") +
                                to_string(shortcut) +
                                ", which cannot be added; a shortcut can project, as in res(conv32x3s2p1,bn|"
                                "conv32x1s2,bn)");
  }

  int add_layer(const TextItem& item, const std::string& name, const std::vector<int>& inputs) {
    const int position = static_cast<int>(network_.layers_.size());
    Layer layer = item.layer;
    layer.name = name;
    layer.inputs = inputs;
    layer.input = shape_of(inputs.front());
    const LayerType& type = type_of(layer);
    layer.output =
        type.output_shape(layer, [&](const std::string& problem) { throw_layer_error(item, problem); });
    count_elements({layer.output.channels, layer.output.height, layer.output.width}, layer, item);
    if (type.parameters != nullptr) {
      for (const ParameterSpec& spec : type.parameters(layer)) {
        const int ordinal = type.normalizes ? static_cast<int>(network_.running_.size()) : weighted_;
        network_.parameters_.push_back({tensor_name(layer, spec.role), spec.shape, spec.role, position,
                                        ordinal, spec.fan_in, spec.fan_out,
                                        count_elements(spec.shape, layer, item), 0});
      }
    }
    if (type.weighted) ++weighted_;
    if (type.normalizes) {
      const std::int64_t line = round_up_to_line(layer.input.channels);
      network_.running_.push_back(
          {position, layer.input.channels, network_.running_floats_, network_.running_floats_ + line});
      network_.running_floats_ += 2 * line;
    }
    network_.layers_.push_back(std::move(layer));
    return position;
  }

  /// Returns the size of a tensor and adds it to what there is; the error points at the layer that is too
  /// large.
  std::int64_t count_elements(const std::vector<std::int64_t>& shape, const Layer& layer,
                              const TextItem& item) {
    const std::int64_t size = bounded_product(shape);
    if (size > max_elements - elements_) {
      throw_layer_error(item, "is too large on its input " + to_string(layer.input) +
                                  "; the parameters and the activations of one image may be 2^40 elements "
                                  "together");
    }
    elements_ += size;
    return size;
  }

  /// Weights of layers first: what weight decay may be confined to is one range.
  void place_parameters() {
    const auto place = [&](bool weights) {
      for (Parameter& parameter : network_.parameters_) {
        if ((parameter.role == TensorRole::weight) != weights) continue;
        parameter.offset = network_.parameter_floats_;
        network_.parameter_floats_ += round_up_to_line(parameter.size);
      }
    };
    place(true);
    network_.weight_floats_ = network_.parameter_floats_;
    place(false);
  }

  Network& network_;
  std::int64_t elements_ = 0;  ///< of activations and parameters so far
  int weighted_ = 0;
};

Network Network::parse(std::string_view text, const Shape& input, std::int64_t classes, Norm norm,
                       const Normalization& normalization) {
  BNTRAIN_EXPECTS(input.channels > 0 && input.height > 0 && input.width > 0 && classes > 0);
  BNTRAIN_EXPECTS(bounded_product({input.channels, input.height, input.width}) <= max_elements);
  std::vector<TextItem> items = parse_text(text, classes);
  if (norm == Norm::none) remove_items(items, [](const Layer& layer) { return type_of(layer).normalizes; });
  check_last_layer(items, classes);
  Network network;
  network.normalization_ = normalization.for_channels(input.channels);
  NetworkBuilder(network, input, classes).build(items);
  return network;
}

std::int64_t Network::parameter_count() const {
  std::int64_t count = 0;
  for (const Parameter& parameter : parameters_) count += parameter.size;
  return count;
}

std::string tensor_name(const Layer& layer, TensorRole role) {
  const auto suffix = [role] {
    switch (role) {
      case TensorRole::weight:
      case TensorRole::gamma:
        return ".weight";
      case TensorRole::bias:
      case TensorRole::beta:
        return ".bias";
      case TensorRole::running_mean:
        return ".running_mean";
      case TensorRole::running_var:
        return ".running_var";
      case TensorRole::batches_tracked:
        break;
    }
    return ".num_batches_tracked";
  };
  return layer.name + suffix();
}

}  // namespace bntrain
