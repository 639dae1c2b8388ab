// Learning rates by step. That they are PyTorch's is checked by scripts/compare_pytorch.py --check schedules.
#include "bntrain/optimizer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/error_message.hpp"

namespace bntrain {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr std::int64_t kSteps = 100, kPerEpoch = 10;

double rate(const char* text, std::int64_t step, std::int64_t warmup = 0, double lr = 0.5) {
  return Schedule({.text = text, .warmup = warmup}, lr, kSteps, kPerEpoch).lr(step);
}

TEST(Schedule, ConstantStaysWhatItIs) {
  for (const std::int64_t step : {0, 1, 99, 1000}) EXPECT_EQ(rate("constant", step), 0.5);
}

TEST(Schedule, StepFallsAtTheEndOfItsEpochs) {
  EXPECT_EQ(rate("step:2:0.1", 19), 0.5);
  EXPECT_DOUBLE_EQ(rate("step:2:0.1", 20), 0.05);
  EXPECT_DOUBLE_EQ(rate("step:2:0.1", 99), 0.5 * 1e-4);
}

TEST(Schedule, CosineGoesFromTheRateToItsLeast) {
  EXPECT_DOUBLE_EQ(rate("cosine", 0), 0.5);
  EXPECT_DOUBLE_EQ(rate("cosine", 50), 0.25);
  EXPECT_DOUBLE_EQ(rate("cosine:0.1", 50), 0.3);
  EXPECT_NEAR(rate("cosine", 99), 0.25 * (1 + std::cos(std::acos(-1.0) * 0.99)), 1e-15);
}

TEST(Schedule, OneCycleRisesToTheRateAndFalls) {
  EXPECT_NEAR(rate("onecycle", 0), 0.5 / 25, 1e-16);
  EXPECT_DOUBLE_EQ(rate("onecycle", 29), 0.5);
  EXPECT_DOUBLE_EQ(rate("onecycle", 99), 0.5 / 25 / 1e4);
  for (std::int64_t step = 0; step < 29; ++step)
    EXPECT_LT(rate("onecycle", step), rate("onecycle", step + 1));
  for (std::int64_t step = 29; step < 99; ++step)
    EXPECT_GT(rate("onecycle", step), rate("onecycle", step + 1));
}

TEST(Schedule, LinearGoesThroughItsPoints) {
  const char* text = "linear:10=0,30=1,90=0.5";
  EXPECT_EQ(rate(text, 0), 0);
  EXPECT_EQ(rate(text, 10), 0);
  EXPECT_DOUBLE_EQ(rate(text, 20), 0.25);
  EXPECT_DOUBLE_EQ(rate(text, 30), 0.5);
  EXPECT_DOUBLE_EQ(rate(text, 60), 0.375);
  EXPECT_DOUBLE_EQ(rate(text, 99), 0.25);
}

TEST(Schedule, TheWarmupRisesToTheFirstRateAndShiftsTheRest) {
  EXPECT_DOUBLE_EQ(rate("constant", 0, 4), 0.125);
  EXPECT_DOUBLE_EQ(rate("constant", 3, 4), 0.5);
  EXPECT_DOUBLE_EQ(rate("cosine", 4, 4), 0.5);
  EXPECT_DOUBLE_EQ(rate("cosine", 52, 4), 0.25);  // half of the other 96
  EXPECT_NEAR(rate("onecycle", 1, 2), 0.5 / 25, 1e-16);
  EXPECT_NEAR(rate("onecycle", kSteps - 1, kSteps), 0.5 / 25, 1e-16);  // nothing is left of the cycle
}

TEST(Schedule, BeyondItsStepsTheRateIsTheLast) {
  for (const char* text : {"cosine", "onecycle", "step:1:0.5", "linear:0=1,200=0"})
    EXPECT_EQ(rate(text, 5000), rate(text, kSteps - 1)) << text;
  const Schedule longer({.text = "cosine", .steps = 200}, 0.5, kSteps, kPerEpoch);
  EXPECT_EQ(longer.steps(), 200);
  EXPECT_DOUBLE_EQ(longer.lr(100), 0.25);
}

TEST(Schedule, ShortRunsDivideByNothing) {
  for (const char* text : {"constant", "cosine", "onecycle", "linear:0=1"})
    for (const std::int64_t steps : {0, 1, 2, 3, 4})
      for (std::int64_t step = 0; step < 5; ++step)
        EXPECT_TRUE(std::isfinite(Schedule({.text = text}, 0.5, steps, 1).lr(step))) << text << " " << steps;
}

TEST(Schedule, OtherTextsAreRefusedWithThePartThatIsWrong) {
  const std::pair<const char*, const char*> refused[] = {
      {"", "'' is no schedule; allowed: constant, step:EPOCHS:GAMMA, cosine[:MIN], onecycle, linear:"},
      {"Cosine", "'Cosine' is no schedule"},
      {"constant:", "'constant:' is not of the form constant"},
      {"constant:1", "'constant:1' is not of the form constant"},
      {"step", "'step' is not of the form step:EPOCHS:GAMMA"},
      {"step:1", "step:EPOCHS:GAMMA needs two numbers, not '1'"},
      {"step:0:0.1", "needs EPOCHS, a whole number from 1 to 1e+06, not '0'"},
      {"step:x:0.1", "needs EPOCHS, a whole number from 1 to 1e+06, not 'x'"},
      {"step:1.5:0.1", "needs EPOCHS, a whole number from 1 to 1e+06, not '1.5'"},
      {"step:1e9:1", "not '1e9'"},
      {"step:1:1e7", "needs GAMMA, a number from 0 to 1e+06, not '1e7'"},
      {"step:1:-1", "needs GAMMA, a number from 0 to 1e+06, not '-1'"},
      {"step:1:x", "not 'x'"},
      {"cosine:", "'cosine:' is not of the form cosine[:MIN]"},
      {"cosine:-1", "cosine:MIN needs MIN, a number from 0 to 1e+38, not '-1'"},
      {"cosine:0.1:2", "not '0.1:2'"},
      {"onecycle:0.3", "'onecycle:0.3' is not of the form onecycle"},
      {"linear", "'linear' is not of the form linear:STEP=FACTOR,..."},
      {"linear:", "'linear:' is not of the form linear:STEP=FACTOR,..."},
      {"linear:1", "needs STEP=FACTOR, not '1'"},
      {"linear:5=", "needs FACTOR, a number from 0 to 1e+06, not ''"},
      {"linear:0=1e38", "not '1e38'"},
      {"linear:0=-1", "not '-1'"},
      {"linear:0=nan", "not 'nan'"},
      {"linear:0.5=1", "needs STEP, a whole number from 0 to 1e+15, not '0.5'"},
      {"linear:1=2,1=3", "needs rising steps: '1=3' follows step 1"},
      {"linear:2=1,1=1", "needs rising steps: '1=1' follows step 2"}};
  for (const auto& [text, reason] : refused)
    EXPECT_THAT(error_message(ErrorKind::usage, [&] { check_schedule(text); }),
                AllOf(HasSubstr("schedule: "), HasSubstr(reason)))
        << text;
}

}  // namespace
}  // namespace bntrain
