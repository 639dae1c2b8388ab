// Shared by the tests of the kernels: seeded values, the comparison of bits, every schedule on every grid.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "kernels/simt/host/executor.hpp"

namespace bntrain {

inline std::size_t at(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

/// Normally distributed; depends on the arguments alone.
inline std::vector<float> random_values(std::int64_t size, std::uint32_t seed, float mean = 0,
                                        float deviation = 1) {
  std::mt19937 generator{seed};
  std::normal_distribution<float> normal(mean, deviation);
  std::vector<float> values(at(size));
  for (float& value : values) value = normal(generator);
  return values;
}

/// NaN of the same pattern are the same, 0 and -0 are not.
inline testing::AssertionResult same_bits(std::span<const float> actual, std::span<const float> expected) {
  if (actual.size() != expected.size())
    return testing::AssertionFailure() << actual.size() << " values against " << expected.size();
  for (std::size_t i = 0; i < actual.size(); ++i)
    if (std::bit_cast<std::uint32_t>(actual[i]) != std::bit_cast<std::uint32_t>(expected[i]))
      return testing::AssertionFailure()
             << "element " << i << " of " << actual.size() << ": " << actual[i] << " against " << expected[i];
  return testing::AssertionSuccess();
}

/// Calls check(stream) with every schedule for the full grid, and with grids of 1, 2 and 17 blocks.
template <typename Check>
void on_every_schedule_and_grid(Check check) {
  const std::vector<simt_host::Settings> schedules = simt_host::all_schedules();
  std::vector<std::pair<simt_host::Settings, int>> runs;
  for (const simt_host::Settings& settings : schedules) runs.emplace_back(settings, 0);
  for (const int blocks : {1, 2, 17}) {
    runs.emplace_back(schedules.front(), blocks);
    runs.emplace_back(schedules.back(), blocks);
  }
  for (const auto& [settings, blocks] : runs) {
    SCOPED_TRACE(to_string(settings.schedule) + ", blocks " + std::to_string(blocks));
    simt_host::Executor executor(settings);
    check(executor.stream(blocks));
    for (const kernels::LaunchConfig& launch : executor.launches()) {
      EXPECT_TRUE(blocks == 0 || launch.grid <= std::max(blocks, launch.cluster)) << launch.grid;
    }
  }
}

}  // namespace bntrain
