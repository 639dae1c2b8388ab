#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "bntrain/network.hpp"
#include "support/error_message.hpp"
#include "support/nan.hpp"

namespace bntrain {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

using support::kNan;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

class CheckValues : public testing::Test {
 protected:
  std::vector<float>& values(const std::string& name) {
    return const_cast<Tensor*>(state_.find(name))->floats();
  }
  std::vector<Remark> check(StatisticsUse use = StatisticsUse::inference) const {
    return check_values(network_, state_, "m.safetensors", use);
  }
  std::string refusal(StatisticsUse use = StatisticsUse::inference) const {
    return error_message(ErrorKind::data, [&] { check(use); });
  }

  Network network_ = Network::parse("conv3x3,bn,relu,fc4", {1, 6, 6, false}, 4);
  ModelState state_ = initial_state(network_, Init::torch, 0);
};

TEST_F(CheckValues, FiniteOnesNeedNoWord) {
  EXPECT_THAT(check(), IsEmpty());
}

TEST_F(CheckValues, TensorLayerAndCountAreNamed) {
  values("1.running_var")[2] = kNan;
  values("0.weight")[4] = -kInfinity;
  for (const auto use : {StatisticsUse::inference, StatisticsUse::training})
    EXPECT_THAT(refusal(use),
                AllOf(HasSubstr("m.safetensors: "), HasSubstr("'1.running_var' of 1 bn: 1 of 3 values NaN"),
                      HasSubstr("'0.weight' of 0 conv3x3: 1 of 27 values not finite")));
}

TEST_F(CheckValues, NoVarianceIsNegative) {
  values("1.running_var")[0] = -1e-3F;
  EXPECT_THAT(refusal(), HasSubstr("'1.running_var' of 1 bn: 1 of 3 values negative"));
}

TEST_F(CheckValues, NoCountIsNegative) {
  const_cast<Tensor*>(state_.find("1.num_batches_tracked"))->values = std::vector<std::int64_t>{-1};
  EXPECT_THAT(refusal(), HasSubstr("'1.num_batches_tracked' of 1 bn: a count below 0"));
}

TEST_F(CheckValues, StatisticsThatAreNotUsedAreOnlyNamed) {
  values("1.running_mean")[0] = kNan;
  const auto remarks = check(StatisticsUse::none);
  ASSERT_EQ(remarks.size(), 1u);
  EXPECT_TRUE(remarks[0].warning);
  EXPECT_THAT(remarks[0].text, HasSubstr("'1.running_mean' of 1 bn"));
  values("1.bias")[0] = kNan;
  EXPECT_THAT(refusal(StatisticsUse::none), AllOf(HasSubstr("'1.bias'"), testing::Not(HasSubstr("mean"))));
}

TEST_F(CheckValues, AnInfiniteVarianceMakesAConstantChannel) {
  values("1.running_var")[1] = kInfinity;
  const auto remarks = check(StatisticsUse::training);
  ASSERT_EQ(remarks.size(), 1u);
  EXPECT_THAT(remarks[0].text, AllOf(HasSubstr("1 of 3 values infinite"), HasSubstr("constant")));
}

TEST_F(CheckValues, ZeroVariancesOfAllChannelsWereNeverWritten) {
  values("1.running_var") = {0, 1, 0};
  EXPECT_THAT(check(), IsEmpty());
  values("1.running_var") = {0, 0, 0};
  EXPECT_THAT(check(StatisticsUse::training), IsEmpty());
  ASSERT_EQ(check().size(), 1u);
  EXPECT_THAT(check()[0].text, HasSubstr("no training step"));
}

}  // namespace
}  // namespace bntrain
