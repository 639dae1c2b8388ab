#include "bntrain/network.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "support/error_message.hpp"

namespace bntrain {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

const Shape fashion{1, 28, 28, false};

std::vector<std::string> parameter_names(const Network& network) {
  std::vector<std::string> names;
  for (const Parameter& parameter : network.parameters()) names.push_back(parameter.name);
  return names;
}

std::vector<std::string> shapes(const Network& network, std::int64_t batch) {
  std::vector<std::string> result;
  for (const Layer& layer : network.layers())
    result.push_back(layer.text + " " + to_string(layer.output, batch));
  return result;
}

TEST(Network, TheReference) {
  const Network network = Network::parse("lenet-bn", fashion, 10);
  EXPECT_EQ(network.text(), "conv20x5,bn,relu,maxpool2,conv50x3,bn,relu,maxpool2,fc128,relu,fc10");
  EXPECT_EQ(network.parameter_count(), 171'128);
  EXPECT_EQ(network.classes(), 10);
  EXPECT_EQ(network.input(), fashion);
  EXPECT_THAT(shapes(network, 256),
              ElementsAre("conv20x5 (256, 20, 24, 24)", "bn (256, 20, 24, 24)", "relu (256, 20, 24, 24)",
                          "maxpool2 (256, 20, 12, 12)", "conv50x3 (256, 50, 10, 10)", "bn (256, 50, 10, 10)",
                          "relu (256, 50, 10, 10)", "maxpool2 (256, 50, 5, 5)", "flatten (256, 1250)",
                          "fc128 (256, 128)", "relu (256, 128)", "fc10 (256, 10)"));
  EXPECT_THAT(parameter_names(network),
              ElementsAre("0.weight", "0.bias", "1.weight", "1.bias", "4.weight", "4.bias", "5.weight",
                          "5.bias", "9.weight", "9.bias", "11.weight", "11.bias"));
  ASSERT_EQ(network.running().size(), 2u);
  EXPECT_EQ(network.layer(network.running()[1].layer).name, "5");
  EXPECT_EQ(network.running()[1].layer, 5);
  EXPECT_EQ(network.running()[1].channels, 50);
}

TEST(Network, TheReferenceParameters) {
  const Network network = Network::parse("lenet-bn", fashion, 10);
  const Parameter& conv = network.parameters()[4];
  EXPECT_EQ(conv.shape, (std::vector<std::int64_t>{50, 20, 3, 3}));
  EXPECT_EQ(conv.size, 9000);
  EXPECT_EQ(conv.fan_in, 180);
  EXPECT_EQ(conv.fan_out, 450);
  EXPECT_EQ(conv.ordinal, 1);
  EXPECT_EQ(conv.layer, 4);
  EXPECT_EQ(conv.role, TensorRole::weight);
  const Parameter& beta = network.parameters()[7];
  EXPECT_EQ(beta.role, TensorRole::beta);
  EXPECT_EQ(beta.ordinal, 1);
  EXPECT_EQ(beta.fan_in, 1);
  const Parameter& bias = network.parameters()[9];
  EXPECT_EQ(bias.role, TensorRole::bias);
  EXPECT_EQ(bias.shape, std::vector<std::int64_t>{128});
  EXPECT_EQ(bias.fan_in, 1250);
  EXPECT_EQ(network.parameters()[8].fan_out, 128);
  EXPECT_EQ(bias.ordinal, 2);
}

TEST(Network, OffsetsAreCacheLinesWithoutOverlap) {
  const Network network = Network::parse("lenet-bn", fashion, 10);
  std::vector<Parameter> parameters{network.parameters().begin(), network.parameters().end()};
  std::ranges::sort(parameters, {}, &Parameter::offset);
  std::int64_t end = 0;
  for (const Parameter& parameter : parameters) {
    EXPECT_EQ(parameter.offset % 16, 0);
    EXPECT_GE(parameter.offset, end);
    EXPECT_LT(parameter.offset, end + 16);
    end = parameter.offset + parameter.size;
  }
  EXPECT_GE(network.parameter_floats(), end);
  EXPECT_LT(network.parameter_floats(), end + 16);
  const RunningStatistics& second = network.running()[1];
  EXPECT_EQ(second.mean_offset, 64);  // behind two times 20 rounded up to 32
  EXPECT_EQ(second.var_offset, 128);
  EXPECT_EQ(network.running_floats(), 192);
}

TEST(Network, WithoutNorm) {
  const Network network = Network::parse("lenet-bn", fashion, 10, Norm::none);
  EXPECT_EQ(network.text(), "conv20x5,relu,maxpool2,conv50x3,relu,maxpool2,fc128,relu,fc10");
  EXPECT_THAT(parameter_names(network), ElementsAre("0.weight", "0.bias", "3.weight", "3.bias", "7.weight",
                                                    "7.bias", "9.weight", "9.bias"));
  EXPECT_EQ(network.parameter_count(), 170'988);
  EXPECT_TRUE(network.running().empty());
  EXPECT_EQ(network.running_floats(), 0);
  EXPECT_EQ(Network::parse("fc10", fashion, 10, Norm::none).text(), "fc10");
}

TEST(Network, MlpPresetBeginsWithFlatten) {
  const Network network = Network::parse("mlp-bn", {3, 8, 8, false}, 7);
  EXPECT_THAT(shapes(network, 2),
              ElementsAre("flatten (2, 192)", "fc256 (2, 256)", "bn (2, 256)", "relu (2, 256)",
                          "fc128 (2, 128)", "bn (2, 128)", "relu (2, 128)", "fc7 (2, 7)"));
  EXPECT_EQ(network.parameters()[0].name, "1.weight");
  EXPECT_EQ(network.parameters()[0].fan_in, 192);
}

TEST(Network, D2lLenetHasNoPadding) {
  const Network network = Network::parse("d2l-lenet", fashion, 10);
  EXPECT_THAT(shapes(network, 256),
              ElementsAre("conv6x5 (256, 6, 24, 24)", "bn (256, 6, 24, 24)", "sigmoid (256, 6, 24, 24)",
                          "avgpool2 (256, 6, 12, 12)", "conv16x5 (256, 16, 8, 8)", "bn (256, 16, 8, 8)",
                          "sigmoid (256, 16, 8, 8)", "avgpool2 (256, 16, 4, 4)", "flatten (256, 256)",
                          "fc120 (256, 120)", "bn (256, 120)", "sigmoid (256, 120)", "fc84 (256, 84)",
                          "bn (256, 84)", "sigmoid (256, 84)", "fc10 (256, 10)"));
  EXPECT_EQ(Network::parse("d2l-lenet", fashion, 10, Norm::none).text(),
            "conv6x5,sigmoid,avgpool2,conv16x5,sigmoid,avgpool2,fc120,sigmoid,fc84,sigmoid,fc10");
}

TEST(Network, SigmoidMlpHasThreeHiddenLayers) {
  EXPECT_EQ(Network::parse("mlp3-sigmoid", fashion, 10).text(),
            "fc100,bn,sigmoid,fc100,bn,sigmoid,fc100,bn,sigmoid,fc10");
  EXPECT_EQ(Network::parse("mlp3-sigmoid", fashion, 10, Norm::none).text(),
            "fc100,sigmoid,fc100,sigmoid,fc100,sigmoid,fc10");
}

TEST(Network, AveragePoolingIsLikeMaxPooling) {
  const Network network = Network::parse("avgpool3,sigmoid,fc10", {3, 28, 26, false}, 10);
  EXPECT_EQ(network.layers()[0].output, (Shape{3, 9, 8, false}));  // floor
  EXPECT_EQ(network.layers()[0].stride, 3);
  EXPECT_EQ(network.layers()[1].output, (Shape{3, 9, 8, false}));
}

TEST(Network, PresetNamesAreAllNetworks) {
  EXPECT_EQ(preset_names(), "lenet-bn, mlp-bn, d2l-lenet, mlp3-sigmoid");
}

TEST(Network, PresetsTakeTheClassesOfTheData) {
  EXPECT_EQ(Network::parse("lenet-bn", fashion, 3).layers().back().text, "fc3");
}

TEST(Network, StrideAndPadding) {
  const Network network = Network::parse("conv8x3s2p1,maxpool3,fc10", {3, 28, 27, false}, 10);
  EXPECT_EQ(network.layers()[0].output, (Shape{8, 14, 14, false}));
  EXPECT_EQ(network.layers()[0].stride, 2);
  EXPECT_EQ(network.layers()[0].padding, 1);
  EXPECT_EQ(network.layers()[1].output, (Shape{8, 4, 4, false}));  // floor
  EXPECT_EQ(network.layers()[1].stride, 3);
  EXPECT_EQ(network.layers()[3].input, (Shape{128, 1, 1, true}));
}

TEST(Network, ALayerWithoutBiasHasTheSameWeights) {
  const Network with = Network::parse("conv8x3s2p1,bn,fc5,fc10", fashion, 10);
  const Network without = Network::parse("conv8x3s2p1nobias,bn,fc5,fc10nobias", fashion, 10);
  EXPECT_THAT(parameter_names(without),
              ElementsAre("0.weight", "1.weight", "1.bias", "3.weight", "3.bias", "4.weight"));
  EXPECT_EQ(with.parameter_count() - without.parameter_count(), 8 + 10);
  const ModelState all = initial_state(with, Init::torch, 3), fewer = initial_state(without, Init::torch, 3);
  for (const Tensor& tensor : fewer.tensors) EXPECT_EQ(tensor.values, all.find(tensor.name)->values);
}

TEST(Network, TheTextIsCanonicalAndParsesToItself) {
  const Network network = Network::parse(" conv008x3s1p0 ,\tbn,bn, flatten,bn , fc010", fashion, 10);
  EXPECT_EQ(network.text(), "conv8x3,bn,bn,flatten,bn,fc10");
  EXPECT_EQ(network.parameters()[2].ordinal, 0);
  EXPECT_EQ(network.parameters()[4].ordinal, 1);
  EXPECT_EQ(network.parameters()[6].shape, std::vector<std::int64_t>{8 * 26 * 26});
  for (const char* text : {"conv8x3,bn,bn,flatten,bn,fc10", "lenet-bn", "mlp-bn",
                           "conv4x3s2p1,fc5,flatten,fc10", "conv4x3s2p1nobias,bn,fc10nobias"}) {
    const Network once = Network::parse(text, fashion, 10);
    const Network twice = Network::parse(once.text(), fashion, 10);
    EXPECT_EQ(once.text(), twice.text());
    EXPECT_EQ(parameter_names(once), parameter_names(twice));
  }
}

TEST(Network, NormOnTheInputAndAFlatInput) {
  EXPECT_EQ(Network::parse("bn,fc10", fashion, 10).running()[0].channels, 1);
  const Network flat = Network::parse("fc10", {30, 1, 1, true}, 10);
  EXPECT_EQ(flat.layers().size(), 1u);
  EXPECT_EQ(flat.parameters()[0].name, "0.weight");
}

struct BadText {
  const char* text;
  std::vector<const char*> message;
  Norm norm = Norm::batch;
};

class NetworkText : public testing::TestWithParam<BadText> {};

TEST_P(NetworkText, IsRefusedAtItsLayer) {
  const std::string message = error_message(ErrorKind::usage, [] {
    Network::parse(GetParam().text, {20, 4, 4, false}, 10, GetParam().norm);
  });
  for (const char* part : GetParam().message) EXPECT_THAT(message, HasSubstr(part));
}

const char* const allowed = "convOUTxK";

INSTANTIATE_TEST_SUITE_P(
    Wrong, NetworkText,
    testing::Values(
        BadText{"", {"the 1st layer, ''", "is empty", allowed}},
        BadText{"bn,,fc10", {"the 2nd layer, ''", "is empty", allowed}},
        BadText{"fc10,", {"the 2nd layer, ''", "is empty"}},
        BadText{"bn,tanh,fc10", {"the 2nd layer, 'tanh'", "not understood", allowed, "lenet-bn, mlp-bn"}},
        BadText{"bn,lenet-bn", {"the 2nd layer, 'lenet-bn'", "not understood"}},
        BadText{"BN,fc10", {"the 1st layer, 'BN'", "not understood"}},
        BadText{"bn2,fc10", {"the 1st layer, 'bn2'", "'2' is not understood"}},
        BadText{"conv,fc10", {"the 1st layer, 'conv'", "number of output channels is missing"}},
        BadText{"conv8,fc10", {"the 1st layer, 'conv8'", "xK, the kernel, is missing"}},
        BadText{"conv8x,fc10", {"the 1st layer, 'conv8x'", "the kernel is missing"}},
        BadText{"conv0x3,fc10", {"the 1st layer, 'conv0x3'", "must be 1 to 16777216"}},
        BadText{"conv8x0,fc10", {"the kernel must be 1 to"}},
        BadText{"conv8x-3,fc10", {"the kernel is missing"}},
        BadText{"conv8x3s,fc10", {"the stride is missing"}},
        BadText{"conv8x3s0,fc10", {"the stride must be 1 to"}},
        BadText{"conv8x3p,fc10", {"the padding is missing"}},
        BadText{"conv8x3p3,fc10", {"the padding must be smaller than the kernel 3"}},
        BadText{"conv8x3p1s2,fc10", {"'s2' is not understood"}},
        BadText{"conv8x3.5,fc10", {"'.5' is not understood"}},
        BadText{"fc99999999999999999999", {"number of outputs must be 1 to"}},
        BadText{"fc16777217", {"number of outputs must be 1 to 16777216"}},
        BadText{"fc", {"outputs is missing"}}, BadText{"maxpool,fc10", {"the window is missing"}},
        BadText{"maxpool1,fc10", {"the window must be 2 to"}},
        BadText{"avgpool,fc10", {"the 1st layer, 'avgpool'", "the window is missing", "avgpoolK"}},
        BadText{"avgpool1,fc10", {"the window must be 2 to"}},
        BadText{"avgpool5,fc10", {"the 1st layer, 'avgpool5': the kernel 5 does not fit"}},
        BadText{"fc5,avgpool2,fc10", {"the 2nd layer, 'avgpool2'", "its input (5) is flat"}},
        BadText{"sigmoids,fc10", {"'s' is not understood", "sigmoid", "d2l-lenet"}},
        BadText{"bn,relu,conv20x9,fc10",
                {"the 3rd layer, 'conv20x9': the kernel 9 does not fit its input (20, 4, 4)",
                 "the largest is 4"}},
        BadText{"conv20x9p1,fc10", {"does not fit its input", "the largest is 6"}},
        BadText{"maxpool5,fc10", {"the 1st layer, 'maxpool5': the kernel 5 does not fit"}},
        BadText{"flatten,conv2x1,fc10",
                {"the 2nd layer, 'conv2x1'", "its input (320) is flat", "before flatten"}},
        BadText{"fc5,maxpool2,fc10", {"the 2nd layer, 'maxpool2'", "its input (5) is flat"}},
        BadText{"fc12", {"the 1st layer, 'fc12'", "10 classes", "write 'fc10'"}},
        BadText{"fc10,relu", {"the 2nd layer, 'relu'", "must end with one output a class", "append ',fc10'"}},
        BadText{"res(fc10)", {"the 1st layer, 'res(fc10)'", "write 'fc10' after the residual block"}},
        BadText{"fc10,res(relu)", {"the 2nd layer, 'res(relu)'", "append ',fc10'"}},
        BadText{"conv20x3", {"the 1st layer, 'conv20x3'", "append ',fc10'"}},
        BadText{"bn,bn", {"no layer left without its bn", "'fc10'"}, Norm::none},
        BadText{"bn,conv20x9,fc10", {"the 2nd layer, 'conv20x9'"}, Norm::none},
        BadText{"fc16777216,fc16777216,fc10", {"the 2nd layer, 'fc16777216'", "too large", "2^40"}},
        BadText{"conv16777216x1,bn,conv16777216x4p3,fc10", {"the 3rd layer, 'conv16777216x4p3'", "2^40"}},
        BadText{"conv1x16777216p16777215,fc10", {"the 1st layer", "2^40"}}));

TEST(NetworkLimits, LongTexts) {
  std::string text;
  for (int i = 0; i < 9'999; ++i) text += "relu,";
  EXPECT_EQ(Network::parse(text + "fc10", fashion, 10).layers().size(), 10'001u);
  EXPECT_THAT(error_message(ErrorKind::usage, [&] { Network::parse(text + "relu,fc10", fashion, 10); }),
              AllOf(HasSubstr("10001 layers"), HasSubstr("at most 10000")));
  const std::string noise(100'000, 'x');
  EXPECT_LT(error_message(ErrorKind::usage, [&] { Network::parse(noise, fashion, 10); }).size(), 500u);
}

TEST(NetworkLimits, BrokenPreconditions) {
  EXPECT_THROW(Network::parse("fc10", {0, 4, 4, false}, 10), std::logic_error);
  EXPECT_THROW(Network::parse("fc10", {1, std::int64_t{1} << 32, std::int64_t{1} << 32, false}, 10),
               std::logic_error);
  EXPECT_THROW(Network::parse("fc10", fashion, 0), std::logic_error);
}

std::vector<std::string> names_of(const Network& network) {
  std::vector<std::string> names;
  for (const Layer& layer : network.layers()) names.push_back(layer.name + " " + layer.text);
  return names;
}

TEST(Residual, BranchesAreNamedAsModulesOfPyTorch) {
  const Network network = Network::parse("conv4x3,res(conv4x3p1,bn,relu|conv4x1),relu,res(res(bn),gelu),fc10",
                                         {1, 28, 28, false}, 10);
  EXPECT_THAT(names_of(network),
              ElementsAre("0 conv4x3", "1.body.0 conv4x3p1", "1.body.1 bn", "1.body.2 relu",
                          "1.shortcut.0 conv4x1", "1 add", "2 relu", "3.body.0.body.0 bn", "3.body.0 add",
                          "3.body.1 gelu", "3 add", "4 flatten", "5 fc10"));
  EXPECT_THAT(network.layers()[5].inputs, ElementsAre(3, 4));
  EXPECT_THAT(network.layers()[8].inputs, ElementsAre(7, 6));  // the inner identity
  EXPECT_THAT(network.layers()[10].inputs, ElementsAre(9, 6));
  EXPECT_EQ(network.parameters()[2].name, "1.body.0.weight");
  EXPECT_EQ(network.parameters()[4].name, "1.body.1.weight");
  EXPECT_EQ(network.running().size(), 2u);
}

TEST(Residual, TheTextIsCanonicalAndParsesAgain) {
  const Network network =
      Network::parse(" res( conv4x3s1p1 , leakyrelu0.01 | conv4x1p0 ),fc10 ", {1, 8, 8, false}, 10);
  EXPECT_EQ(network.text(), "res(conv4x3p1,leakyrelu|conv4x1),fc10");
  EXPECT_EQ(Network::parse(network.text(), {1, 8, 8, false}, 10).text(), network.text());
}

TEST(Residual, WithoutNormTheBranchesLoseTheirs) {
  const Network network = Network::parse("res(conv1x3p1,bn|bn),fc10", {1, 8, 8, false}, 10, Norm::none);
  EXPECT_EQ(network.text(), "res(conv1x3p1),fc10");
  EXPECT_TRUE(network.running().empty());
  EXPECT_THAT(error_message(ErrorKind::usage,
                            [] {
                              Network::parse("res(bn),fc10", {1, 8, 8, false}, 10, Norm::none);
                            }),
              HasSubstr("the 1st layer, 'res(bn)': has no layer left in its body"));
}

TEST(Residual, MistakesAreNamedWithTheirPlace) {
  const auto message = [](const char* text) {
    return error_message(ErrorKind::usage, [&] { Network::parse(text, {1, 8, 8, false}, 10); });
  };
  EXPECT_THAT(
      message("conv4x3,res(conv8x3p1),fc10"),
      AllOf(HasSubstr("the 2nd layer, 'res(conv8x3p1)': its body gives (8, 6, 6) and its input is (4, 6, 6)"),
            HasSubstr("a shortcut can project")));
  EXPECT_THAT(message("res(conv4x3,bn|conv4x1),fc10"), HasSubstr("its shortcut gives (4, 8, 8)"));
  EXPECT_THAT(message("conv4x3,res(conv4x3p1,conv4x9),fc10"),
              HasSubstr("the 2nd layer of the body of the 2nd layer, 'conv4x9': the kernel 9"));
  EXPECT_THAT(message("res(bn|bn|bn),fc10"), HasSubstr("has 3 branches"));
  EXPECT_THAT(message("res(),fc10"), HasSubstr("the 1st layer of the body of the 1st layer, '': is empty"));
  EXPECT_THAT(message("res(bn|),fc10"),
              HasSubstr("the 1st layer of the shortcut of the 1st layer, '': is empty"));
  EXPECT_THAT(message("res(bn,fc10"), HasSubstr("a '(' without its ')'"));
  EXPECT_THAT(message("bn),fc10"), HasSubstr("a ')' without its '('"));
  EXPECT_THAT(message("res(bn)relu,fc10"), HasSubstr("a closing parenthesis must end the residual block"));
  EXPECT_THAT(message("bn|bn,fc10"), HasSubstr("is not understood"));
  EXPECT_EQ(Network::parse("leakyrelu.20,leakyrelu1e-5,fc10", {1, 8, 8, false}, 10).text(),
            "leakyrelu0.2,leakyrelu1e-05,fc10");
  EXPECT_THAT(message("leakyrelu1001,fc10"), HasSubstr("0 to 1000"));
  EXPECT_THAT(message("leakyrelu-1,fc10"), HasSubstr("'-1' is not understood"));
  EXPECT_THAT(message("gelu0.1,fc10"), HasSubstr("'0.1' is not understood"));
  EXPECT_THAT(message("fc4,res(bn)"), HasSubstr("must end with one output a class"));
  std::string deep = "bn";
  for (int i = 0; i < 60; ++i) deep = "res(" + deep + ")";
  EXPECT_THAT(message((deep + ",fc10").c_str()), HasSubstr("at most 50 residual blocks may be nested"));
  EXPECT_THAT(message((std::string(100'000, '(') + std::string(100'000, ')')).c_str()),
              HasSubstr("at most 10000 are allowed"));
}

TEST(Residual, WeightsStandFirstInTheFlatBuffer) {
  const Network network = Network::parse("res(conv1x3p1,bn),fc10", {1, 8, 8, false}, 10);
  for (const Parameter& p : network.parameters())
    EXPECT_EQ(p.offset < network.weight_floats(), p.role == TensorRole::weight) << p.name;
}

}  // namespace
}  // namespace bntrain
