#include "kernels/simt/simt_features.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <numeric>
#include <vector>

#include "kernels/simt/host/executor.hpp"
#include "support/device_vector.hpp"

namespace bntrain {
namespace {

using kernels::FeatureSizes;
using support::DeviceVector;

class SimtFeatures : public testing::TestWithParam<FeatureSizes> {};

TEST_P(SimtFeatures, AllWorkTogetherInEverySchedule) {
  constexpr std::int64_t kThreads = 256;
  const FeatureSizes sizes = GetParam();
  const auto blocks = static_cast<std::size_t>(sizes.blocks);
  DeviceVector<float> in(blocks * kThreads + 4);
  for (std::size_t i = 0; i < in.size(); ++i) in[i] = static_cast<float>(i * 7 % 23) - 9;

  for (const auto& settings : simt_host::all_schedules())
    for (const std::size_t offset : {0, 1}) {
      SCOPED_TRACE(to_string(settings.schedule) + ", offset " + std::to_string(offset));
      simt_host::Executor executor(settings);
      const double unset = std::numeric_limits<double>::quiet_NaN();
      DeviceVector<double> per_block(blocks, unset), per_cluster(blocks, unset), by_grid(blocks, unset);
      DeviceVector<float> from_next(blocks * kThreads);
      DeviceVector<simt::Pair<double>> messages(blocks, {0, 0});
      DeviceVector<unsigned> positive(blocks);
      DeviceVector<double> total(1, unset);
      DeviceVector<unsigned> counter(1);
      // Twice, as a replayed graph would: the counter must be back at 0.
      for (int replay = 0; replay < 2; ++replay)
        simt_features(sizes, in.data() + offset, per_block.data(), per_cluster.data(), total.data(),
                      from_next.data(), positive.data(), by_grid.data(), messages.data(), counter.data(),
                      executor.stream());

      const auto part = [&](std::size_t block) {
        return in.begin() + static_cast<std::ptrdiff_t>(block * kThreads + offset);
      };
      const auto sum = [&](std::size_t first, std::size_t count) {
        return std::accumulate(part(first), part(first + count), 0.0);
      };
      const auto cluster = static_cast<std::size_t>(sizes.cluster);
      for (std::size_t b = 0; b < blocks; ++b) {
        EXPECT_EQ(per_block[b], sum(b, 1));
        EXPECT_EQ(per_cluster[b], sum(b / cluster * cluster, cluster));
        EXPECT_EQ(positive[b], std::count_if(part(b), part(b + 1), [](float v) { return v > 0; }));
        const std::size_t next = b / cluster * cluster + (b + 1) % cluster;
        EXPECT_TRUE(std::equal(part(next), part(next + 1),
                               from_next.begin() + static_cast<std::ptrdiff_t>(b * kThreads)));
        if (sizes.cooperative) {
          EXPECT_EQ(by_grid[b], sum(0, blocks));
        }
      }
      EXPECT_EQ(total[0], sum(0, blocks));
      EXPECT_EQ(counter[0], 0u);
    }
}
INSTANTIATE_TEST_SUITE_P(Sizes, SimtFeatures,
                         testing::Values(FeatureSizes{1, 1, false}, FeatureSizes{5, 1, false},
                                         FeatureSizes{6, 2, false}, FeatureSizes{8, 8, false},
                                         FeatureSizes{5, 1, true}, FeatureSizes{8, 4, true}),
                         [](const auto& tested) {
                           return std::to_string(tested.param.blocks) + "_by_" +
                                  std::to_string(tested.param.cluster) +
                                  (tested.param.cooperative ? "_cooperative" : "");
                         });

}  // namespace
}  // namespace bntrain
