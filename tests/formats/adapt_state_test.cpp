// Tensors under the names that other programs give them.
#include "formats/adapt_state.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/error_message.hpp"

namespace bntrain {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

class AdaptState : public testing::Test {
 protected:
  void adapt() { state_ = adapt_state(network_, std::move(state_), "m.safetensors", remarks_); }
  void expect_adapted() {
    adapt();
    EXPECT_NO_THROW(check_state(network_, state_, "m.safetensors"));
    for (const Tensor& tensor : expected_.tensors) {
      const Tensor* now = state_.find(tensor.name);
      ASSERT_NE(now, nullptr) << tensor.name;
      EXPECT_EQ(now->values, tensor.values) << tensor.name;
    }
  }
  void rename_layer(const std::string& from, const std::string& to) {
    for (Tensor& tensor : state_.tensors)
      if (tensor.name.starts_with(from + ".")) tensor.name.replace(0, from.size(), to);
  }
  void add_prefix(const std::string& prefix) {
    for (Tensor& tensor : state_.tensors) tensor.name.insert(0, prefix);
  }
  std::string said() const {
    std::string all;
    for (const Remark& remark : remarks_) all += (remark.warning ? "warning: " : "") + remark.text + "\n";
    return all;
  }

  Network network_ = Network::parse("conv3x3p1,bn,relu,res(conv3x3p1,bn),fc5,fc5,fc4", {1, 4, 4, false}, 4);
  ModelState expected_ = initial_state(network_, Init::torch, 1);
  ModelState state_ = expected_;
  std::vector<Remark> remarks_;
};

TEST_F(AdaptState, ItsOwnNamesNeedNoWord) {
  expect_adapted();
  EXPECT_THAT(remarks_, IsEmpty());
}

TEST_F(AdaptState, APrefixOfAllNamesIsTakenOff) {
  for (const std::string prefix : {"module.", "model._orig_mod.module.", "net.0.", "0."}) {
    state_ = expected_;
    add_prefix(prefix);
    remarks_.clear();
    expect_adapted();
    EXPECT_THAT(said(), AllOf(HasSubstr("m.safetensors"), HasSubstr("'" + prefix + "'"))) << prefix;
  }
}

TEST_F(AdaptState, TensorsBesideThePrefixAreNamed) {
  add_prefix("module.");
  state_.tensors.push_back({"n_averaged", {}, std::vector<std::int64_t>{3}});
  state_.tensors.push_back({"loss.weight", {4}, std::vector<float>(4)});
  expect_adapted();
  EXPECT_THAT(said(),
              HasSubstr("warning: m.safetensors: tensors without the prefix are not read: n_averaged, "
                        "loss.weight"));
}

TEST_F(AdaptState, WhatHoldsNothingIsLeftOut) {
  state_.tensors.push_back({"buffer", {0, 3}, std::vector<float>{}});
  expect_adapted();
}

TEST_F(AdaptState, TheSameNetworkTwiceIsRefused) {
  add_prefix("model.");
  for (Tensor tensor : expected_.tensors) {
    tensor.name.insert(0, "ema.");
    state_.tensors.push_back(tensor);
  }
  EXPECT_THAT(error_message(ErrorKind::data, [&] { adapt(); }),
              AllOf(HasSubstr("several times, under 'ema.', 'model.'"), HasSubstr("save one")));
}

TEST_F(AdaptState, WordsThatAllNamesShareAreTakenOffWhereTheRestDiffers) {
  add_prefix("model.net.");
  std::erase_if(state_.tensors, [](const Tensor& tensor) { return tensor.name == "model.net.0.bias"; });
  adapt();
  EXPECT_THAT(error_message(ErrorKind::data, [&] { check_state(network_, state_, "m.safetensors"); }),
              AllOf(HasSubstr("missing tensor '0.bias'"), testing::Not(HasSubstr("unknown"))));
}

TEST_F(AdaptState, GapsOfLayersWithoutTensorsAreClosed) {
  // Dropout before the second and the third fc; 10 comes after 9
  rename_layer("7", "12");
  rename_layer("6", "10");
  rename_layer("5", "8");
  add_prefix("model.");
  expect_adapted();
  EXPECT_THAT(said(), AllOf(HasSubstr("warning: m.safetensors: the layers have other numbers"),
                            HasSubstr("8 as 5, 10 as 6, 12 as 7"), HasSubstr("Dropout")));
}

TEST_F(AdaptState, AnotherShapeInTheOrderIsNotTaken) {
  rename_layer("7", "12");
  rename_layer("5", "13");  // between the last two
  adapt();
  EXPECT_THAT(error_message(ErrorKind::data, [&] { check_state(network_, state_, "m.safetensors"); }),
              AllOf(HasSubstr("unknown tensor '13.weight'"), HasSubstr("missing tensor '5.weight'")));
}

TEST_F(AdaptState, NamesHaveNoOrder) {
  rename_layer("7", "head");
  adapt();
  EXPECT_THAT(error_message(ErrorKind::data, [&] { check_state(network_, state_, "m.safetensors"); }),
              AllOf(HasSubstr("unknown tensor 'head.weight'"), HasSubstr("missing tensor '7.weight'")));
}

TEST_F(AdaptState, CountsMayBeMissingOrOfAnotherType) {
  std::erase_if(state_.tensors, [](const Tensor& tensor) { return tensor.name == "1.num_batches_tracked"; });
  for (Tensor& tensor : state_.tensors)
    if (tensor.name == "3.body.1.num_batches_tracked") tensor = {tensor.name, {1}, std::vector<float>{0}};
  expect_adapted();
  EXPECT_THAT(said(), HasSubstr("counted as 0 because it is missing: 1.num_batches_tracked"));
}

TEST_F(AdaptState, ACountThatIsNoneIsLeftToTheCheck) {
  for (Tensor& tensor : state_.tensors)
    if (tensor.name == "1.num_batches_tracked") tensor.values = std::vector<float>{0.5};
  adapt();
  EXPECT_THAT(error_message(ErrorKind::data, [&] { check_state(network_, state_, "m.safetensors"); }),
              HasSubstr("'1.num_batches_tracked' is float32 []"));
}

}  // namespace
}  // namespace bntrain
