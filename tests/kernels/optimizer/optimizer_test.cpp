#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/kernels.hpp"
#include "kernels/simt/host/executor.hpp"
#include "support/guarded.hpp"
#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace bntrain {
namespace {

using kernels::SgdScalars;
using simt_host::Executor;
using support::Guarded;

/// Values in [-1, 1) that depend on i and `purpose` alone.
std::vector<float> values(std::int64_t size, std::uint32_t purpose) {
  std::vector<float> result(static_cast<std::size_t>(size));
  std::uint32_t state = purpose * 2654435761u + 1;
  for (float& value : result) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<float>(state >> 8) / 8388608.0f - 1.0f;
  }
  return result;
}

struct Result {
  std::vector<float> weights, velocity;
  bool operator==(const Result& other) const {
    const auto same = [](const std::vector<float>& a, const std::vector<float>& b) {
      return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](float x, float y) {
               return std::bit_cast<std::uint32_t>(x) == std::bit_cast<std::uint32_t>(y);
             });
    };
    return same(weights, other.weights) && same(velocity, other.velocity);
  }
};

struct Case {
  std::int64_t size;
  bool momentum = true;
  std::size_t offset = 0;  ///< of the weights, in floats from a 64-byte boundary
  unsigned halted = 0;
  SgdScalars scalars = {0.2f, 0.9f, 0.01f};
};

/// Runs the kernel in memory with guard bands around it.
Result run(const Case& c, Executor& executor, int max_blocks = 0) {
  const Guarded gradient(values(c.size, 1));
  Guarded weights(values(c.size, 2), c.offset);
  Guarded velocity(values(c.size, 3));
  // On the heap, where a GPU can reach it.
  const auto scalars = std::make_unique<SgdScalars>(c.scalars);
  const auto halted = std::make_unique<unsigned>(c.halted);
  kernels::sgd(c.size, gradient.data(), scalars.get(), halted.get(), weights.data(),
               c.momentum ? velocity.data() : nullptr, executor.stream(max_blocks));
  EXPECT_TRUE(gradient.intact());
  EXPECT_TRUE(weights.intact());
  EXPECT_TRUE(velocity.intact());
  return {{weights.values().begin(), weights.values().end()},
          {velocity.values().begin(), velocity.values().end()}};
}

Result run(const Case& c) {
  Executor executor;
  return run(c, executor);
}

class SgdSizes : public testing::TestWithParam<std::int64_t> {};

TEST_P(SgdSizes, AgreesWithTheReference) {
  for (const bool momentum : {false, true})
    for (const std::size_t offset : {0, 1}) {
      const Case c{.size = GetParam(), .momentum = momentum, .offset = offset};
      SCOPED_TRACE("momentum " + std::to_string(momentum) + ", offset " + std::to_string(offset));
      reference::Values weights = reference::widen(values(c.size, 2));
      reference::Values velocity = momentum ? reference::widen(values(c.size, 3)) : reference::Values{};
      reference::sgd_step(weights, reference::widen(values(c.size, 1)), velocity,
                          {.lr = c.scalars.lr,
                           .momentum = momentum ? c.scalars.momentum : 0,
                           .weight_decay = c.scalars.weight_decay});
      const Result result = run(c);
      // Four roundings of numbers up to 2.
      EXPECT_TRUE(support::close(result.weights, weights, support::bound(support::kFloatEps, 4, 2)));
      if (momentum)
        EXPECT_TRUE(support::close(result.velocity, velocity, support::bound(support::kFloatEps, 4, 2)));
      else
        EXPECT_EQ(result.velocity, values(c.size, 3));
    }
}
INSTANTIATE_TEST_SUITE_P(Sizes, SgdSizes, testing::Values(0, 1, 3, 4, 1023, 171128));

TEST(Sgd, BitsDependOnNeitherScheduleNorGridNorAlignment) {
  const Case c{.size = 21 * 1024 + 3};
  const Result expected = run(c);
  for (const simt_host::Settings& settings : simt_host::all_schedules())
    for (const int max_blocks : {0, 1, 2, 17}) {
      SCOPED_TRACE(to_string(settings.schedule) + ", blocks " + std::to_string(max_blocks));
      Executor executor(settings);
      EXPECT_EQ(run(c, executor, max_blocks), expected);
      if (max_blocks > 0) {
        EXPECT_LE(executor.launches().at(0).grid, max_blocks);
      }
    }
  EXPECT_EQ(run({.size = c.size, .offset = 1}), expected);
}

TEST(Sgd, AHaltedRunChangesNothing) {
  const Result result = run({.size = 1023, .halted = 1});
  EXPECT_EQ(result.weights, values(1023, 2));
  EXPECT_EQ(result.velocity, values(1023, 3));
}

TEST(Sgd, NonFiniteGradientsReachTheirOwnWeightsAlone) {
  std::vector<float> gradient = values(64, 1);
  gradient[5] = std::nanf("");
  std::vector<float> weights = values(64, 2);
  const auto scalars = std::make_unique<SgdScalars>(SgdScalars{0.1f, 0, 0});
  kernels::sgd(64, gradient.data(), scalars.get(), nullptr, weights.data(), nullptr, {});
  for (std::size_t i = 0; i < weights.size(); ++i) EXPECT_EQ(std::isnan(weights[i]), i == 5) << i;
}

TEST(Sgd, LaunchesNothingForNoElements) {
  Executor executor;
  kernels::sgd(0, nullptr, nullptr, nullptr, nullptr, nullptr, executor.stream());
  EXPECT_TRUE(executor.launches().empty());
}

TEST(Sgd, RefusesANegativeSize) {
  EXPECT_THROW(kernels::sgd(-1, nullptr, nullptr, nullptr, nullptr, nullptr, {}), std::invalid_argument);
}

}  // namespace
}  // namespace bntrain
