// bntrain export: what it writes, what it says, what it refuses. tests/interop reads the files elsewhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "cli/run_program.hpp"
#include "formats/safetensors.hpp"

namespace bntrain::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* data = "synthetic:shape=1x8x8,train=200,test=70";

class ExportTest : public ::testing::Test {
 protected:
  std::string file(const std::string& name) const { return folder.file(name); }

  /// A trained model of the network; small_run()'s when none is named.
  std::string model(const std::vector<std::string>& flags = {}) {
    std::vector<std::string> arguments =
        small_run({"--init", "torch", "--epochs", "2", "--save", file("model.safetensors")});
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    const ProgramResult result = run_bntrain(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return file("model.safetensors");
  }
  std::string model_of(const std::string& network) {
    const ProgramResult result =
        run_bntrain({"--data", data, "--network", network, "--init", "torch", "--epochs", "1", "--batch-size",
                     "32", "--save", file("model.safetensors")});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return file("model.safetensors");
  }
  ProgramResult export_to(const std::string& name, const std::string& model,
                          const std::vector<std::string>& flags = {}) const {
    std::vector<std::string> arguments = {"export", model, "-o", file(name)};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    return run_bntrain(arguments);
  }
  /// The logits of `bntrain eval`.
  std::vector<float> logits(const std::string& model) const {
    const ProgramResult result =
        run_bntrain({"eval", model, "--data", data, "--logits", file("logits.safetensors")});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    const TensorFile written = read_safetensors(file("logits.safetensors"));
    EXPECT_EQ(written.state.tensors.at(0).shape, (std::vector<std::int64_t>{70, 10}));
    return written.state.tensors.at(0).floats();
  }
  /// Changes one tensor of a file.
  void edit(const std::string& path, const std::string& name, float value) const {
    TensorFile content = read_safetensors(path);
    auto& floats = const_cast<Tensor*>(content.state.find(name))->floats();
    floats.assign(floats.size(), value);
    write_safetensors(path, content);
  }
  void expect_refused(const ProgramResult& result, int exit_code, const std::string& message) const {
    EXPECT_EQ(result.exit_code, exit_code) << result.out << result.err;
    EXPECT_THAT(result.err, HasSubstr(message));
    EXPECT_EQ(result.out, "");
    for (const char* name : {"out.safetensors", "out.onnx"})
      EXPECT_FALSE(std::filesystem::exists(file(name)));
  }

  TemporaryFolder folder;
};

TEST_F(ExportTest, SafetensorsHoldTheSameBits) {
  const std::string trained = model();
  const ProgramResult result = export_to("out.safetensors", trained);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("conv4x3,bn,relu,maxpool2,fc10"), HasSubstr("eps 1e-05"),
                                HasSubstr("running_var biased"), Not(HasSubstr("folded"))));
  const TensorFile before = read_safetensors(trained), after = read_safetensors(file("out.safetensors"));
  ASSERT_EQ(after.state.tensors.size(), before.state.tensors.size());
  for (const Tensor& tensor : before.state.tensors)
    EXPECT_EQ(after.state.find(tensor.name)->values, tensor.values);
  EXPECT_EQ(after.metadata, before.metadata);
}

TEST_F(ExportTest, FoldsTheNormAndProvesIt) {
  const std::string trained = model();
  const ProgramResult result = export_to("out.safetensors", trained, {"--fold", "--data", data});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("network     conv4x3,relu,maxpool2,fc10"), HasSubstr("folded      1 bn"),
                    HasSubstr("largest difference of a logit"), HasSubstr("70 images")));
  const TensorFile folded = read_safetensors(file("out.safetensors"));
  EXPECT_EQ(folded.metadata.at("network"), "conv4x3,relu,maxpool2,fc10");
  EXPECT_EQ(folded.metadata.at("folded"), "1 bn");
  EXPECT_EQ(folded.metadata.count("bn-eps"), 0U);
  const std::vector<float> before = logits(trained), after = logits(file("out.safetensors"));
  for (std::size_t i = 0; i < before.size(); ++i) ASSERT_NEAR(before[i], after[i], 1e-4F);
}

TEST_F(ExportTest, AFoldedModelTrainsOnWithoutNorm) {
  ASSERT_EQ(export_to("out.safetensors", model(), {"--fold", "--data", data}).exit_code, 0);
  const ProgramResult result =
      run_bntrain(small_run({"--norm", "none", "--init-from", file("out.safetensors"), "--epochs", "1"}));
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

TEST_F(ExportTest, KeepsANormBehindOtherLayersAndSaysSo) {
  const ProgramResult result =
      export_to("out.safetensors", model_of("conv4x3,bn,relu,bn,fc10"), {"--fold", "--data", data});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("conv4x3,relu,bn,fc10"), HasSubstr("folded      1 bn"),
                                HasSubstr("kept        3 bn"), HasSubstr("eps 1e-05")));
  const auto metadata = read_safetensors(file("out.safetensors")).metadata;
  EXPECT_EQ(metadata.at("bn-eps"), "1e-05");
  EXPECT_EQ(metadata.at("bn-values"), "1152");  // of the one that is left
  logits(file("out.safetensors"));
}

TEST_F(ExportTest, RefusesToFoldWhereTheLogitsWouldChange) {
  const std::string trained = model();
  edit(trained, "0.bias", 1e6F);
  edit(trained, "1.running_mean", 1e6F);
  expect_refused(export_to("out.safetensors", trained, {"--fold", "--data", data}), 1,
                 "does not compute the same");
  expect_refused(export_to("out.onnx", trained, {"--fold", "--data", data}), 1, "nothing was written");
}

TEST_F(ExportTest, RefusesToFoldWhatIsNotThere) {
  expect_refused(export_to("out.safetensors", model({"--norm", "none"}), {"--fold", "--data", data}), 2,
                 "no batch norm directly after a conv or fc");
  expect_refused(export_to("out.safetensors", model_of("bn,fc10"), {"--fold", "--data", data}), 2,
                 "it has 0 bn");
}

TEST_F(ExportTest, WritesOnnxOrSaysWhatIsMissing) {
  const std::string trained = model();
  const ProgramResult result = export_to("out.onnx", trained);
#ifdef BNTRAIN_HAS_ONNX
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("operator set 17"), HasSubstr("input: float32 [batch, 1, 8, 8]"),
                                HasSubstr("logits: float32 [batch, 10]")));
  EXPECT_THAT(read_text(file("out.onnx")),
              AllOf(HasSubstr("BatchNormalization"), HasSubstr("1.running_var")));
#else
  expect_refused(result, 1, "libonnx-dev");
#endif
}

TEST_F(ExportTest, ConvertsTheVarianceToAnotherConvention) {
  const std::string trained = model();  // batches of 32 images, 6 x 6 values of a channel in each
  const ProgramResult result = export_to("out.safetensors", trained, {"--bn-convention", "torch"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("running_var unbiased"),
                                HasSubstr("torch.nn.BatchNorm2d(channels, eps=1e-05, momentum=0.1)")));
  const TensorFile before = read_safetensors(trained), after = read_safetensors(file("out.safetensors"));
  EXPECT_EQ(after.metadata.at("bn-variance"), "unbiased");
  EXPECT_EQ(after.metadata.at("bn-values"), "1152");
  for (std::size_t c = 0; c < 4; ++c) {
    EXPECT_FLOAT_EQ(after.state.find("1.running_var")->floats()[c],
                    static_cast<float>(before.state.find("1.running_var")->floats()[c] * (1152.0 / 1151)));
  }
  EXPECT_EQ(after.state.find("0.weight")->values, before.state.find("0.weight")->values);
}

TEST_F(ExportTest, ReadsAFileWithoutMetadataWhenTold) {
  const std::string trained = model();
  write_safetensors(file("bare.safetensors"), {read_safetensors(trained).state, {}});
  expect_refused(export_to("out.safetensors", file("bare.safetensors")), 2, "--network");
  std::vector<std::string> flags = {"--network", "conv4x3,bn,relu,maxpool2,fc10", "--bn-eps", "1e-5"};
  expect_refused(export_to("out.safetensors", file("bare.safetensors"), flags), 2, "--input");
  flags.insert(flags.end(), {"--input", "1x8x8"});
  expect_refused(export_to("out.safetensors", file("bare.safetensors"), flags), 2, "--classes");
  flags.insert(flags.end(), {"--classes", "10"});
  EXPECT_EQ(export_to("out.safetensors", file("bare.safetensors"), flags).exit_code, 0);
  EXPECT_EQ(logits(file("out.safetensors")), logits(trained));
  flags.insert(flags.end(), {"--bn-convention", "keras"});
  std::filesystem::remove(file("out.safetensors"));
  expect_refused(export_to("out.safetensors", file("bare.safetensors"), flags), 2,
                 "does not say which variance");
}

#ifdef BNTRAIN_HAS_ONNX
TEST_F(ExportTest, WritesAnOlderOperatorSet) {
  const std::string trained = model();
  expect_refused(export_to("out.onnx", trained, {"--opset", "12"}), 2, "--opset");
  const ProgramResult result = export_to("out.onnx", trained, {"--opset", "13"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("ONNX, operator set 13, passed ONNX's checker"));
}
#endif

TEST_F(ExportTest, RefusesWhatItCannotDo) {
  const std::string trained = model();
  expect_refused(export_to("out.safetensors", trained, {"--opset", "13"}), 2, "--opset");
  expect_refused(run_bntrain({"export", trained}), 2, "--output");
  expect_refused(run_bntrain({"export"}), 2, "MODEL");
  expect_refused(export_to("out.pt", trained), 2, ".safetensors or .onnx");
  expect_refused(export_to("out.safetensors", file("none.safetensors")), 3, "none.safetensors");
  expect_refused(export_to("no/out.safetensors", trained), 3, "does not exist");
  expect_refused(export_to("out.safetensors", trained, {"--bn-convention", "mxnet"}), 2,
                 "tutorial, torch, keras, caffe or onnx");
  expect_refused(export_to("out.safetensors", trained, {"--bn-convention", "torch", "--fold"}), 2,
                 "no running_var");
  expect_refused(export_to("out.safetensors", trained, {"--fold", "--data", "synthetic:shape=1x9x9"}), 3,
                 "--data");
  for (const char* shape : {"", "28", "1x8", "1x8x8x8", "0x8x8", "1x-8x8", "1x8x8 ", "01x8x8"}) {
    expect_refused(export_to("out.safetensors", trained, {"--input", shape}), 2, "--input");
  }
  expect_refused(export_to("out.safetensors", model({"--norm", "none"}), {"--bn-convention", "torch"}), 2,
                 "has no batch norm");
}

TEST_F(ExportTest, LeavesTheOldFileWhenItRefuses) {
  const std::string trained = model();
  edit(trained, "0.bias", 1e6F);
  edit(trained, "1.running_mean", 1e6F);
  write_text(file("old.safetensors"), "old");
  EXPECT_EQ(export_to("old.safetensors", trained, {"--fold", "--data", data}).exit_code, 1);
  EXPECT_EQ(read_text(file("old.safetensors")), "old");
}

}  // namespace
}  // namespace bntrain::test
