#include "network/batch_norm_convention.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/error_message.hpp"

namespace bntrain {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class BatchNormConventions : public testing::Test {
 protected:
  std::vector<float>& var(const std::string& norm) {
    return const_cast<Tensor*>(state_.find(norm + ".running_var"))->floats();
  }
  void convert(bool from_unbiased, bool to_unbiased, std::vector<std::int64_t> n) {
    state_ = convert_running_variance(network_, state_, {from_unbiased, std::move(n)}, to_unbiased);
  }

  Network network_ = Network::parse("conv2x3,bn,fc3,bn,fc4", {1, 5, 4, false}, 4);
  ModelState state_ = initial_state(network_, Init::torch, 0);
};

TEST_F(BatchNormConventions, CountTheValuesOfAChannel) {
  EXPECT_THAT(values_per_channel(network_, 10), ElementsAre(10 * 3 * 2, 10));
  EXPECT_THAT(values_per_channel(network_, 1), ElementsAre(6, 1));
}

TEST_F(BatchNormConventions, UnbiasedIsLargerByNOverNMinusOne) {
  var("1") = {2, 0};
  var("4") = {3, 3, 3};
  convert(false, true, {5, 4});
  EXPECT_THAT(var("1"), ElementsAre(2.5f, 0));
  EXPECT_THAT(var("4"), ElementsAre(4, 4, 4));
  convert(true, false, {5, 4});
  EXPECT_THAT(var("1"), ElementsAre(2, 0));
  EXPECT_THAT(var("4"), ElementsAre(3, 3, 3));
}

TEST_F(BatchNormConventions, TheSameConventionChangesNoBit) {
  var("1") = {0.1f, 0.3f};
  convert(true, true, {});
  EXPECT_THAT(var("1"), ElementsAre(0.1f, 0.3f));
}

TEST_F(BatchNormConventions, OneValueHasNoUnbiasedVariance) {
  var("4") = {3, 3, 3};
  convert(false, true, {6, 1});
  EXPECT_THAT(var("4"), ElementsAre(3, 3, 3));
}

TEST_F(BatchNormConventions, MeansAndParametersStay) {
  const ModelState before = state_;
  convert(false, true, {2, 2});
  for (const Tensor& tensor : before.tensors) {
    if (tensor.name.ends_with("running_var")) continue;
    EXPECT_EQ(state_.find(tensor.name)->values, tensor.values) << tensor.name;
  }
}

TEST_F(BatchNormConventions, AreReadFromTheMetadata) {
  const auto read = [&](const std::string& variance, const std::string& values) {
    return recorded_variance(network_, {{"bn-variance", variance}, {"bn-values", values}}, "file");
  };
  EXPECT_TRUE(read("unbiased", "60,10")->unbiased);
  EXPECT_FALSE(read("biased", "60,10")->unbiased);
  const auto written = recorded_variance(network_, metadata_of({true, {60, 10}}), "file");
  EXPECT_TRUE(written->unbiased);
  EXPECT_THAT(written->values, ElementsAre(60, 10));
  EXPECT_FALSE(recorded_variance(network_, {{"bn-variance", "biased"}}, "file"));
  EXPECT_FALSE(recorded_variance(network_, {{"bn-values", "60,10"}}, "file"));
  EXPECT_THAT(error_message(ErrorKind::data, [&] { read("sample", "60,10"); }),
              AllOf(HasSubstr("file: "), HasSubstr("bn-variance 'sample'")));
  for (const char* values :
       {"", "60", "60,", "60,0", "60,-3", "60 10", "60,10,5", "60,99999999999999999999"}) {
    EXPECT_THAT(error_message(ErrorKind::data, [&] { read("biased", values); }), HasSubstr("2 batch norms"))
        << values;
  }
}

TEST(BatchNormConventionNames, AreTheDocumentedOnes) {
  std::vector<std::string> names;
  for (const BatchNormConvention& convention : batch_norm_conventions()) names.push_back(convention.name);
  EXPECT_THAT(names, ElementsAre("tutorial", "torch", "keras", "caffe", "onnx"));
  const BatchNormOptions tutorial = batch_norm_conventions().front().options, defaults;
  EXPECT_EQ(tutorial.eps, defaults.eps);
  EXPECT_EQ(tutorial.momentum, defaults.momentum);
  EXPECT_EQ(tutorial.unbiased, defaults.unbiased);
}

}  // namespace
}  // namespace bntrain
