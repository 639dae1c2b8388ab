#include "formats/onnx.hpp"

#include <onnx/checker.h>

#include <onnx/shape_inference/implementation.h>
#include <limits>
#include <set>
#include <vector>

#include "bntrain/error.hpp"
#include "core/write_file.hpp"

namespace bntrain {
namespace {

/// The file format of the ONNX release that brought the operator set: 1.8 and 1.9 had 13 and 14.
std::int64_t ir_version(std::int64_t opset) {
  return opset <= 14 ? 7 : 8;
}

/// Adds the layers to a graph, one node each.
class GraphBuilder {
 public:
  GraphBuilder(onnx::GraphProto& graph, const ModelState& state, double eps)
      : graph_(graph), state_(state), eps_(eps) {}

  void build(const Network& network) {
    const Shape& image = network.input();
    add_value(*graph_.add_input(), kOnnxInput, {image.channels, image.height, image.width});
    graph_.mutable_input(0)->set_doc_string("images, pixels divided by 255");
    add_value(*graph_.add_output(), kOnnxOutput, {network.classes()});
    graph_.mutable_output(0)->set_doc_string("one number a class, before the softmax");
    const std::string images = add_normalization(network.normalization());
    for (const Layer& layer : network.layers()) {
      output_ = &layer == &network.layers().back() ? kOnnxOutput : "layer_" + layer.name;
      inputs_.clear();
      for (const int input : layer.inputs)
        inputs_.push_back(input == network_input ? images : outputs_[static_cast<std::size_t>(input)]);
      add_layer(layer);
      outputs_.push_back(output_);
    }
  }

 private:
  /// The name of what the first layers read.
  std::string add_normalization(const Normalization& normalization) {
    if (!normalization.any()) return kOnnxInput;
    const std::string centred = add_scaling("Sub", kOnnxInput, "normalize_mean", normalization.mean);
    return add_scaling("Div", centred, "normalize_std", normalization.std);
  }

  /// A node with one value a channel as its second input.
  std::string add_scaling(const char* op, const std::string& input, const std::string& name,
                          const std::vector<double>& values) {
    add_tensor({name,
                {static_cast<std::int64_t>(values.size()), 1, 1},
                std::vector<float>(values.begin(), values.end())});
    onnx::NodeProto& node = *graph_.add_node();
    node.set_op_type(op);
    node.set_name(name);
    node.add_input(input);
    node.add_input(name);
    node.add_output(name + "_output");
    return name + "_output";
  }

  /// The one place that knows ONNX's operator of each kind of layer.
  void add_layer(const Layer& layer) {
    switch (layer.kind) {
      case LayerKind::conv: {
        onnx::NodeProto& node = add_node("Conv", layer, weights(layer));
        add_window(node, layer);
        add_integers(node, "pads", std::vector<std::int64_t>(4, layer.padding));
        break;
      }
      case LayerKind::linear:
        add_integer(add_node("Gemm", layer, weights(layer)), "transB", 1);
        break;
      case LayerKind::batch_norm: {
        onnx::NodeProto& node = add_node(
            "BatchNormalization", layer,
            {TensorRole::gamma, TensorRole::beta, TensorRole::running_mean, TensorRole::running_var});
        onnx::AttributeProto& epsilon = add_attribute(node, "epsilon", onnx::AttributeProto::FLOAT);
        epsilon.set_f(static_cast<float>(eps_));
        break;
      }
      case LayerKind::activation:
        add_activation(layer);
        break;
      case LayerKind::add:
        add_node("Add", layer, {});
        break;
      case LayerKind::average_pool:
        add_window(add_node("AveragePool", layer, {}), layer);
        break;
      case LayerKind::max_pool:
        add_window(add_node("MaxPool", layer, {}), layer);
        break;
      case LayerKind::flatten:
        add_node("Flatten", layer, {});
        break;
    }
  }

  /// GELU, from operator set 20 on an operator of its own, and SiLU are decomposed.
  void add_activation(const Layer& layer) {
    const std::string& x = inputs_.front();
    switch (layer.activation.kind) {
      case ActivationKind::none:
        break;
      case ActivationKind::relu:
        add_node("Relu", layer, {});
        break;
      case ActivationKind::sigmoid:
        add_node("Sigmoid", layer, {});
        break;
      case ActivationKind::leaky_relu:
        add_attribute(add_node("LeakyRelu", layer, {}), "alpha", onnx::AttributeProto::FLOAT)
            .set_f(layer.activation.slope);
        break;
      case ActivationKind::silu: {
        const std::string sigmoid = add_part("Sigmoid", layer, {x}, "_sigmoid");
        add_part("Mul", layer, {x, sigmoid}, "");
        break;
      }
      case ActivationKind::gelu: {  // x * (0.5 * (1 + erf(x / sqrt(2))))
        const std::string scaled = add_part("Mul", layer, {x, scalar("inv_sqrt_2", 0.707106781f)}, "_scaled");
        const std::string erf = add_part("Erf", layer, {scaled}, "_erf");
        const std::string sum = add_part("Add", layer, {erf, scalar("one", 1)}, "_sum");
        const std::string half = add_part("Mul", layer, {sum, scalar("half", 0.5f)}, "_distribution");
        add_part("Mul", layer, {x, half}, "");
        break;
      }
    }
  }

  /// One of several nodes of a layer, whose output is called after the layer's.
  std::string add_part(const char* op, const Layer& layer, const std::vector<std::string>& inputs,
                       const std::string& suffix) {
    onnx::NodeProto& node = *graph_.add_node();
    node.set_op_type(op);
    node.set_name(layer.name + "_" + layer.text + suffix);
    for (const std::string& input : inputs) node.add_input(input);
    node.add_output(output_ + suffix);
    return output_ + suffix;
  }

  /// The name of a constant, which is in the graph once.
  std::string scalar(const char* name, float value) {
    if (scalars_.insert(name).second) {
      onnx::TensorProto& initializer = *graph_.add_initializer();
      initializer.set_name(name);
      initializer.set_data_type(onnx::TensorProto::FLOAT);
      initializer.set_raw_data(&value, sizeof(value));
    }
    return name;
  }

  static std::vector<TensorRole> weights(const Layer& layer) {
    return layer.bias ? std::vector{TensorRole::weight, TensorRole::bias} : std::vector{TensorRole::weight};
  }

  onnx::NodeProto& add_node(const char* op, const Layer& layer, const std::vector<TensorRole>& tensors) {
    onnx::NodeProto& node = *graph_.add_node();
    node.set_op_type(op);
    node.set_name(layer.name + "_" + layer.text);
    for (const std::string& input : inputs_) node.add_input(input);
    for (const TensorRole role : tensors) {
      node.add_input(tensor_name(layer, role));
      add_tensor(*state_.find(tensor_name(layer, role)));
    }
    node.add_output(output_);
    return node;
  }

  void add_tensor(const Tensor& tensor) {
    onnx::TensorProto& initializer = *graph_.add_initializer();
    initializer.set_name(tensor.name);
    initializer.set_data_type(onnx::TensorProto::FLOAT);
    for (const std::int64_t extent : tensor.shape) initializer.add_dims(extent);
    const std::vector<float>& values = tensor.floats();
    initializer.set_raw_data(values.data(), values.size() * sizeof(float));
  }

  static onnx::AttributeProto& add_attribute(onnx::NodeProto& node, const char* name,
                                             onnx::AttributeProto::AttributeType type) {
    onnx::AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(type);
    return attribute;
  }
  static void add_integer(onnx::NodeProto& node, const char* name, std::int64_t value) {
    add_attribute(node, name, onnx::AttributeProto::INT).set_i(value);
  }
  static void add_integers(onnx::NodeProto& node, const char* name, const std::vector<std::int64_t>& values) {
    onnx::AttributeProto& attribute = add_attribute(node, name, onnx::AttributeProto::INTS);
    for (const std::int64_t value : values) attribute.add_ints(value);
  }
  static void add_window(onnx::NodeProto& node, const Layer& layer) {
    add_integers(node, "kernel_shape", {layer.kernel, layer.kernel});
    add_integers(node, "strides", {layer.stride, layer.stride});
  }

  /// float32 [batch, ...]; the name in place of a number lets the batch size vary.
  static void add_value(onnx::ValueInfoProto& value, const char* name,
                        const std::vector<std::int64_t>& shape) {
    value.set_name(name);
    onnx::TypeProto::Tensor& type = *value.mutable_type()->mutable_tensor_type();
    type.set_elem_type(onnx::TensorProto::FLOAT);
    type.mutable_shape()->add_dim()->set_dim_param("batch");
    for (const std::int64_t extent : shape) type.mutable_shape()->add_dim()->set_dim_value(extent);
  }

  onnx::GraphProto& graph_;
  const ModelState& state_;
  double eps_;
  std::vector<std::string> inputs_, outputs_;  ///< of the layer that is added; of those before it
  std::string output_;
  std::set<std::string> scalars_;
};

onnx::ModelProto make_model(const Network& network, const ModelState& state, double eps,
                            const std::map<std::string, std::string>& metadata, std::int64_t opset) {
  onnx::ModelProto model;
  model.set_ir_version(ir_version(opset));
  model.add_opset_import()->set_version(opset);
  model.set_producer_name("bntrain");
  model.set_producer_version(BNTRAIN_VERSION);
  for (const auto& [name, text] : metadata) {
    onnx::StringStringEntryProto& property = *model.add_metadata_props();
    property.set_key(name);
    property.set_value(text);
  }
  model.mutable_graph()->set_name("bntrain");
  GraphBuilder(*model.mutable_graph(), state, eps).build(network);
  return model;
}

/// Runs ONNX's checker and its shape inference, which records the shape of every value between the layers.
void check(onnx::ModelProto& model, const std::string& path) {
  try {
    onnx::checker::check_model(model);
    onnx::shape_inference::InferShapes(model, onnx::OpSchemaRegistry::Instance(), {true, 1, false});
  } catch (const std::runtime_error& error) {
    throw Error(ErrorKind::runtime, path + ": ONNX's checker refuses the model: " + error.what());
  }
}

}  // namespace

void write_onnx(const std::filesystem::path& path, const Network& network, const ModelState& state,
                double eps, const std::map<std::string, std::string>& metadata, std::int64_t opset) {
  BNTRAIN_EXPECTS(opset >= kOldestOnnxOpset && opset <= kOnnxOpset);
  // A protocol buffer counts its bytes in an int; a million of them is far more than everything else takes.
  constexpr std::int64_t kMostBytes = std::numeric_limits<int>::max() - 1'000'000;
  const std::int64_t elements = network.parameter_count() + network.running_floats();
  if (elements > kMostBytes / static_cast<std::int64_t>(sizeof(float))) {
    throw Error(ErrorKind::runtime, path.string() + ": the network has " + std::to_string(elements) +
                                        " elements, and an ONNX file can hold 2 GiB; export to .safetensors");
  }
  onnx::ModelProto model = make_model(network, state, eps, metadata, opset);
  check(model, path.string());
  const std::string bytes = model.SerializeAsString();
  FileWriter writer(path);
  writer.write(bytes.data(), bytes.size());
  writer.commit();
}

}  // namespace bntrain
