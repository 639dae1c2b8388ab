#include "bntrain/metrics.hpp"

#include <gtest/gtest.h>

namespace bntrain {
namespace {

TEST(Metrics, AShortBatchWeighsLessByImageAndTheSameByBatch) {
  const AverageMetrics result = average({{8.0, 3, 4}, {1.0, 1, 1}});
  EXPECT_EQ(result.count, 5);
  EXPECT_DOUBLE_EQ(result.loss, 9.0 / 5);
  EXPECT_DOUBLE_EQ(result.accuracy, 4.0 / 5);
  EXPECT_DOUBLE_EQ(result.loss_batch_mean, (2.0 + 1.0) / 2);
  EXPECT_DOUBLE_EQ(result.accuracy_batch_mean, (0.75 + 1.0) / 2);
}

TEST(Metrics, EmptyBatchesHaveNoMean) {
  const AverageMetrics nothing = average({});
  EXPECT_EQ(nothing.count, 0);
  EXPECT_EQ(nothing.loss, 0);
  EXPECT_EQ(nothing.accuracy_batch_mean, 0);
  EXPECT_EQ(average({{0, 0, 0}}).loss, 0);
  EXPECT_DOUBLE_EQ(average({{8.0, 3, 4}, {0, 0, 0}}).loss_batch_mean, 2.0);
}

}  // namespace
}  // namespace bntrain
