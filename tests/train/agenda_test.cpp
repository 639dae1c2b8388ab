#include "train/agenda.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace bntrain {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class AgendaTest : public ::testing::Test {
 protected:
  AgendaTest() { config.epochs = 2; }
  /// After how many of the first ten steps it is due, in epochs of five.
  std::vector<std::int64_t> when(bool Due::*what) const {
    const Agenda agenda(config, 5);
    std::vector<std::int64_t> steps;
    for (std::int64_t made = 0; made <= 10; ++made)
      if (agenda.after(made).*what) steps.push_back(made);
    return steps;
  }

  TrainConfig config;
};

TEST_F(AgendaTest, ARunHasItsEpochsOrItsSteps) {
  EXPECT_EQ(Agenda(config, 5).total_steps(), 10);
  EXPECT_EQ(Agenda(config, 5).end_of_epoch(0), 5);
  config.steps = 8;
  EXPECT_EQ(Agenda(config, 5).total_steps(), 8);
  EXPECT_EQ(Agenda(config, 5).end_of_epoch(0), 5);
  EXPECT_EQ(Agenda(config, 5).end_of_epoch(1), 8);
}

TEST_F(AgendaTest, NothingButMetricsIsDueByDefault) {
  EXPECT_THAT(when(&Due::checkpoint), IsEmpty());
  EXPECT_THAT(when(&Due::evaluation), IsEmpty());
  EXPECT_THAT(when(&Due::record), IsEmpty());
}

TEST_F(AgendaTest, CheckpointsAndEvaluationsNeverComeAtTheEndOfAnEpochOrOfTheRun) {
  config.save_every = 1;
  config.eval_every = 2;
  EXPECT_THAT(when(&Due::checkpoint), ElementsAre(1, 2, 3, 4, 6, 7, 8, 9));
  EXPECT_THAT(when(&Due::evaluation), ElementsAre(2, 4, 6, 8));
  config.steps = 8;
  EXPECT_THAT(when(&Due::evaluation), ElementsAre(2, 4, 6));
}

TEST_F(AgendaTest, RecordsCountFromTheStartOfTheRun) {
  config.record.norms = true;
  config.log_every = 3;
  EXPECT_THAT(when(&Due::record), ElementsAre(0, 3, 6, 9));
  config.log_every = 0;
  const Agenda agenda(config, 60);
  EXPECT_TRUE(agenda.after(50).record);
  EXPECT_TRUE(agenda.after(100).record);
  EXPECT_FALSE(agenda.after(60).record);
}

TEST_F(AgendaTest, MetricsAreReadAtIntervalsOfTheEpochAndBeforeEverythingElse) {
  config.log_every = 2;
  EXPECT_THAT(when(&Due::drain), ElementsAre(0, 2, 4, 5, 7, 9, 10));
  config.log_every = 0;
  config.save_every = 4;
  config.eval_every = 3;
  EXPECT_THAT(when(&Due::drain), ElementsAre(0, 3, 4, 5, 6, 8, 9, 10));
}

TEST_F(AgendaTest, TheMetricsOfAtMostAThousandStepsWait) {
  config.log_every = 5000;
  const Agenda agenda(config, 10'000);
  EXPECT_TRUE(agenda.after(1000).drain);
  EXPECT_FALSE(agenda.after(1001).drain);
}

}  // namespace
}  // namespace bntrain
