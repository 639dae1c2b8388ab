// What the ONNX library reads back from the files. tests/interop runs them.
#include "formats/onnx.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cstring>
#include <fstream>

#include "support/error_message.hpp"
#include "support/temporary_folder.hpp"

namespace bntrain {
namespace {

using testing::ElementsAre;

class OnnxFile : public testing::Test {
 protected:
  const onnx::GraphProto& written(const Network& network, const ModelState& state) {
    write_onnx(folder_.file("model.onnx"), network, state, 0.25, {{"dataset", "none"}});
    std::ifstream stream(folder_.file("model.onnx"), std::ios::binary);
    EXPECT_TRUE(model_.ParseFromIstream(&stream));
    return model_.graph();
  }
  const onnx::GraphProto& written(const std::string& text) {
    const Network network = Network::parse(text, {2, 9, 9, false}, 4);
    return written(network, initial_state(network, Init::torch, 0));
  }
  static std::vector<std::int64_t> integers(const onnx::NodeProto& node, const std::string& name) {
    for (const auto& attribute : node.attribute()) {
      if (attribute.name() == name) return {attribute.ints().begin(), attribute.ints().end()};
    }
    return {};
  }

  TemporaryFolder folder_;
  onnx::ModelProto model_;
};

TEST_F(OnnxFile, HasOneNodeALayer) {
  const onnx::GraphProto& graph = written("conv3x4s2p1,bn,relu,maxpool2,fc5,bn,sigmoid,fc4");
  std::vector<std::string> ops;
  for (const auto& node : graph.node()) ops.push_back(node.op_type());
  EXPECT_THAT(ops, ElementsAre("Conv", "BatchNormalization", "Relu", "MaxPool", "Flatten", "Gemm",
                               "BatchNormalization", "Sigmoid", "Gemm"));
  EXPECT_THAT(integers(graph.node(0), "kernel_shape"), ElementsAre(4, 4));
  EXPECT_THAT(integers(graph.node(0), "strides"), ElementsAre(2, 2));
  EXPECT_THAT(integers(graph.node(0), "pads"), ElementsAre(1, 1, 1, 1));
  EXPECT_THAT(integers(graph.node(3), "strides"), ElementsAre(2, 2));
  EXPECT_EQ(graph.node(1).attribute(0).f(), 0.25F);
  EXPECT_THAT(graph.node(1).input(),
              ElementsAre("layer_0", "1.weight", "1.bias", "1.running_mean", "1.running_var"));
}

TEST_F(OnnxFile, EveryOperatorSetHasTheSameNodes) {
  const Network network =
      Network::parse("conv3x3,bn,gelu,maxpool2,res(bn,silu),avgpool2,fc4,leakyrelu,fc4", {2, 9, 9, false}, 4);
  const ModelState state = initial_state(network, Init::torch, 0);
  const std::string expected = written(network, state).SerializeAsString();
  for (std::int64_t opset = kOldestOnnxOpset; opset <= kOnnxOpset; ++opset) {
    write_onnx(folder_.file("model.onnx"), network, state, 0.25, {}, opset);  // which runs ONNX's checker
    std::ifstream stream(folder_.file("model.onnx"), std::ios::binary);
    ASSERT_TRUE(model_.ParseFromIstream(&stream));
    EXPECT_EQ(model_.opset_import(0).version(), opset);
    EXPECT_EQ(model_.ir_version(), opset < 15 ? 7 : 8);
    EXPECT_EQ(model_.producer_name(), "bntrain");
    EXPECT_EQ(model_.graph().SerializeAsString(), expected);
  }
}

TEST_F(OnnxFile, AveragesInWindowsThatDoNotOverlap) {
  const onnx::NodeProto& node = written("avgpool3,fc4").node(0);
  EXPECT_EQ(node.op_type(), "AveragePool");
  EXPECT_THAT(integers(node, "kernel_shape"), ElementsAre(3, 3));
  EXPECT_THAT(integers(node, "strides"), ElementsAre(3, 3));
}

TEST_F(OnnxFile, BeginsWithTheNormalisation) {
  const Network network = Network::parse("res(conv2x3p1),fc4", {2, 9, 9, false}, 4, Norm::batch,
                                         Normalization::parse("0.5,0.25/2,4"));
  const onnx::GraphProto& graph = written(network, initial_state(network, Init::torch, 0));
  EXPECT_EQ(graph.node(0).op_type(), "Sub");
  EXPECT_THAT(graph.node(0).input(), ElementsAre("input", "normalize_mean"));
  EXPECT_EQ(graph.node(1).op_type(), "Div");
  EXPECT_THAT(graph.node(1).input(), ElementsAre(graph.node(0).output(0), "normalize_std"));
  const std::string normalised = graph.node(1).output(0);
  EXPECT_EQ(graph.node(2).input(0), normalised);
  EXPECT_THAT(graph.node(3).input(), ElementsAre(graph.node(2).output(0), normalised));  // the shortcut
  const auto initializer = std::ranges::find(graph.initializer(), std::string("normalize_std"),
                                             [](const onnx::TensorProto& tensor) { return tensor.name(); });
  ASSERT_NE(initializer, graph.initializer().end());
  EXPECT_THAT(initializer->dims(), ElementsAre(2, 1, 1));
  float values[2];
  ASSERT_EQ(initializer->raw_data().size(), sizeof values);
  std::memcpy(values, initializer->raw_data().data(), sizeof values);
  EXPECT_THAT(values, ElementsAre(2, 4));
}

TEST_F(OnnxFile, AddsTheBranchesOfAResidualBlock) {
  const onnx::GraphProto& graph = written("conv3x3p1,res(bn,relu|conv3x1nobias),res(sigmoid),fc4");
  std::vector<std::string> ops;
  for (const auto& node : graph.node()) ops.push_back(node.op_type());
  EXPECT_THAT(ops, ElementsAre("Conv", "BatchNormalization", "Relu", "Conv", "Add", "Sigmoid", "Add",
                               "Flatten", "Gemm"));
  const std::string stem = graph.node(0).output(0);
  EXPECT_EQ(graph.node(1).input(0), stem);
  EXPECT_THAT(graph.node(3).input(), ElementsAre(stem, "1.shortcut.0.weight"));
  EXPECT_THAT(graph.node(4).input(), ElementsAre(graph.node(2).output(0), graph.node(3).output(0)));
  EXPECT_THAT(graph.node(6).input(), ElementsAre(graph.node(5).output(0), graph.node(4).output(0)));
}

TEST_F(OnnxFile, DecomposesTheActivationsThatTheOperatorSetHasNot) {
  const onnx::GraphProto& graph = written("gelu,silu,leakyrelu0.25,fc4");
  std::vector<std::string> ops;
  for (const auto& node : graph.node()) ops.push_back(node.op_type());
  EXPECT_THAT(
      ops, ElementsAre("Mul", "Erf", "Add", "Mul", "Mul", "Sigmoid", "Mul", "LeakyRelu", "Flatten", "Gemm"));
  EXPECT_EQ(graph.node(7).attribute(0).f(), 0.25F);
}

TEST_F(OnnxFile, LeavesOutTheBiasThatALayerHasNot) {
  const onnx::GraphProto& graph = written("conv3x4nobias,bn,fc5,fc4nobias");
  EXPECT_THAT(graph.node(0).input(), ElementsAre("input", "0.weight"));
  EXPECT_THAT(graph.node(3).input(), ElementsAre("layer_2", "3.weight", "3.bias"));
  EXPECT_THAT(graph.node(4).input(), ElementsAre("layer_3", "4.weight"));
}

TEST_F(OnnxFile, LetsTheBatchSizeVary) {
  const onnx::GraphProto& graph = written("conv3x4,relu,fc4");
  ASSERT_EQ(graph.input_size(), 1);
  EXPECT_EQ(graph.input(0).name(), "input");
  const auto& image = graph.input(0).type().tensor_type();
  EXPECT_EQ(image.elem_type(), onnx::TensorProto::FLOAT);
  ASSERT_EQ(image.shape().dim_size(), 4);
  EXPECT_EQ(image.shape().dim(0).dim_param(), "batch");
  EXPECT_EQ(image.shape().dim(1).dim_value(), 2);
  EXPECT_EQ(image.shape().dim(3).dim_value(), 9);
  ASSERT_EQ(graph.output_size(), 1);
  EXPECT_EQ(graph.output(0).name(), "logits");
  EXPECT_EQ(graph.output(0).type().tensor_type().shape().dim(0).dim_param(), "batch");
  EXPECT_EQ(graph.output(0).type().tensor_type().shape().dim(1).dim_value(), 4);
}

TEST_F(OnnxFile, HoldsTheTensorsBitForBit) {
  const Network network = Network::parse("conv3x4,bn,fc4", {2, 9, 9, false}, 4);
  const ModelState state = initial_state(network, Init::torch, 3);
  const onnx::GraphProto& graph = written(network, state);
  EXPECT_EQ(graph.initializer_size(), 8);  // all but num_batches_tracked
  for (const auto& tensor : graph.initializer()) {
    const Tensor* expected = state.find(tensor.name());
    ASSERT_NE(expected, nullptr) << tensor.name();
    EXPECT_THAT(tensor.dims(), testing::ElementsAreArray(expected->shape));
    const std::vector<float>& values = expected->floats();
    ASSERT_EQ(tensor.raw_data().size(), values.size() * sizeof(float));
    EXPECT_EQ(std::memcmp(tensor.raw_data().data(), values.data(), tensor.raw_data().size()), 0);
  }
}

TEST_F(OnnxFile, NamesVersionsAndMetadata) {
  written("fc4");
  ASSERT_EQ(model_.opset_import_size(), 1);
  EXPECT_EQ(model_.opset_import(0).version(), 17);
  EXPECT_EQ(model_.ir_version(), 8);
  EXPECT_EQ(model_.producer_name(), "bntrain");
  ASSERT_EQ(model_.metadata_props_size(), 1);
  EXPECT_EQ(model_.metadata_props(0).value(), "none");
}

TEST_F(OnnxFile, WritesNothingWhenTheFolderIsMissing) {
  const Network network = Network::parse("fc4", {2, 9, 9, false}, 4);
  error_message(ErrorKind::data, [&] {
    write_onnx(folder_.file("missing/model.onnx"), network, initial_state(network, Init::torch, 0), 1e-5, {});
  });
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

// Nine fc of 8192 by 8192 numbers are more than 2 GiB; no such state exists here, and none is asked for.
TEST_F(OnnxFile, RefusesWhatTheFormatCannotHold) {
  std::string text;
  for (int i = 0; i < 10; ++i) text += "fc8192,";
  const Network network = Network::parse(text + "fc4", {2, 9, 9, false}, 4);
  const std::string message =
      error_message(ErrorKind::runtime, [&] { write_onnx(folder_.file("m.onnx"), network, {}, 1e-5, {}); });
  EXPECT_THAT(message, testing::HasSubstr("2 GiB"));
}

}  // namespace
}  // namespace bntrain
