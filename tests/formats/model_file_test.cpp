// Model files of bntrain tell what they hold; of others the caller must.
#include "bntrain/model_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/safetensors.hpp"
#include "support/error_message.hpp"
#include "support/temporary_folder.hpp"

namespace bntrain {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr const char* kText = "conv3x3,bn,relu,fc4";
const Shape kInput{2, 6, 5, false};

class ModelFile : public testing::Test {
 protected:
  ModelFile() {
    file.state = initial_state(Network::parse(kText, kInput, 4), Init::torch, 1);
    file.metadata = {{"network", kText},
                     {"input", "(2, 6, 5)"},
                     {"classes", "4"},
                     {"bn-eps", "0.001"},
                     {"dataset", "leaves"}};
  }
  Model load(const ModelDescription& known = {}) const {
    write_safetensors(path, file);
    return load_model(path, known);
  }
  std::string refusal(ErrorKind kind, const ModelDescription& known = {}) const {
    const std::string message = error_message(kind, [&] { load(known); });
    EXPECT_THAT(message, HasSubstr(path));
    return message;
  }

  TemporaryFolder folder;
  std::string path = folder.file("m.safetensors");
  TensorFile file;
};

TEST_F(ModelFile, TellsEverything) {
  const Model model = load();
  EXPECT_EQ(model.network.text(), kText);
  EXPECT_EQ(model.network.input(), kInput);
  EXPECT_EQ(model.network.classes(), 4);
  EXPECT_EQ(model.batch_norm.eps, 0.001);
  EXPECT_EQ(model.dataset(), "leaves");
  EXPECT_EQ(model.state.find("0.weight")->floats(), file.state.find("0.weight")->floats());
}

TEST_F(ModelFile, TheCallersNetworkAndEpsGoFirst) {
  const Model model = load({.network = "conv3x3,bn,flatten,relu,fc4", .eps = {}, .input = {}, .classes = {}});
  EXPECT_EQ(model.network.layers().at(2).kind, LayerKind::flatten);
  EXPECT_EQ(load({.network = "", .eps = 0.5, .input = {}, .classes = {}}).batch_norm.eps, 0.5);
}

TEST_F(ModelFile, ItsOwnImagesAndClassesGoFirst) {
  const Model model = load({.network = "", .eps = {}, .input = Shape{9, 9, 9, false}, .classes = 9});
  EXPECT_EQ(model.network.input(), kInput);
  EXPECT_EQ(model.network.classes(), 4);
}

TEST_F(ModelFile, WhatItDoesNotTellTheCallerMust) {
  file.metadata.clear();
  ModelDescription known;
  EXPECT_THAT(refusal(ErrorKind::usage, known), AllOf(HasSubstr("network: "), HasSubstr("eps")));
  known.network = kText;
  EXPECT_THAT(refusal(ErrorKind::usage, known), HasSubstr("input: "));
  known.input = kInput;
  EXPECT_THAT(refusal(ErrorKind::usage, known), HasSubstr("classes: "));
  known.classes = 4;
  EXPECT_THAT(refusal(ErrorKind::usage, known), HasSubstr("bn_eps: "));
  known.eps = 1e-5;
  EXPECT_EQ(load(known).batch_norm.eps, 1e-5);
  EXPECT_EQ(load(known).dataset(), "");
}

TEST_F(ModelFile, WithoutBatchNormNoEpsIsAskedFor) {
  file.state = initial_state(Network::parse("fc4", kInput, 4), Init::torch, 1);
  file.metadata.clear();
  EXPECT_EQ(load({.network = "fc4", .eps = {}, .input = kInput, .classes = 4}).network.text(), "fc4");
}

TEST_F(ModelFile, WhatOnlyAResumedRunNeedsIsLeftOut) {
  file.state.tensors.push_back({"bntrain.optimizer.momentum_buffer.0.bias", {1}, std::vector<float>{3}});
  EXPECT_EQ(load().state.find("bntrain.optimizer.momentum_buffer.0.bias"), nullptr);
}

TEST_F(ModelFile, MetadataThatMakeNoSenseAreNamed) {
  const auto complete = file.metadata;
  const auto refused_with = [&](const std::string& key, const std::string& value) {
    file.metadata = complete;
    file.metadata[key] = value;
    return refusal(ErrorKind::data);
  };
  for (const std::string value : {"", "(1, 28)", "28x28", "(2, 6, 5)x", "(-2, 6, 5)", "(0, 6, 5)",
                                  "( 2, 6, 5)", "(1, 9999999999, 9999999999)"})
    EXPECT_THAT(refused_with("input", value),
                AllOf(HasSubstr("input '" + value + "'"), HasSubstr("(1, 28, 28)")));
  for (const std::string value : {"", "four", "0", "-4", "4.5", "99999999999999999999"})
    EXPECT_THAT(refused_with("classes", value), HasSubstr("classes '" + value + "'"));
  for (const std::string value : {"", "small", "0", "-1", "nan", "inf", "1e-5 "})
    EXPECT_THAT(refused_with("bn-eps", value), HasSubstr("bn-eps '" + value + "'"));
  EXPECT_THAT(refused_with("network", "conv3x3,blur,fc4"),
              AllOf(HasSubstr("the 2nd layer"), HasSubstr("blur")));
}

TEST_F(ModelFile, TensorsThatDoNotFitAreNamed) {
  file.state.tensors.pop_back();
  EXPECT_THAT(refusal(ErrorKind::data), AllOf(HasSubstr("missing tensor"), HasSubstr("4.bias")));
}

TEST_F(ModelFile, IsSavedWithEverythingThatLoadingNeeds) {
  const Network network = Network::parse(kText, kInput, 4);
  const Model model{network, {.eps = 1e-4}, initial_state(network, Init::torch, 1), {{"dataset", "leaves"}}};
  save_model(path, model);
  const Model loaded = load_model(path);
  EXPECT_EQ(loaded.network.text(), kText);
  EXPECT_EQ(loaded.network.input(), kInput);
  EXPECT_EQ(loaded.network.classes(), 4);
  EXPECT_EQ(loaded.batch_norm.eps, 1e-4);
  EXPECT_EQ(loaded.dataset(), "leaves");
  EXPECT_EQ(loaded.metadata, file_metadata(model));
  EXPECT_EQ(loaded.state.find("0.weight")->floats(), model.state.find("0.weight")->floats());
}

TEST_F(ModelFile, WhatTheModelIsGoesBeforeWhatItsMetadataSaid) {
  const Network network = Network::parse(kText, kInput, 4);
  save_model(path, {network,
                    {.eps = 0.25},
                    initial_state(network, Init::torch, 1),
                    {{"network", "fc4"}, {"bn-eps", "1"}}});
  EXPECT_EQ(load_model(path).network.text(), kText);
  EXPECT_EQ(load_model(path).batch_norm.eps, 0.25);
}

}  // namespace
}  // namespace bntrain
