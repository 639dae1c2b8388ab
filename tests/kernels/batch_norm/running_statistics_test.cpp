// The running statistics apart from batch norm's forward pass.
#include <cmath>
#include <limits>
#include <memory>
#include <stdexcept>

#include "kernels/kernel_runs.hpp"
#include "kernels/kernels.hpp"
#include "support/device_vector.hpp"
#include "support/guarded.hpp"
#include "support/nan.hpp"
#include "support/tolerance.hpp"

namespace bntrain {
namespace {

using support::Guarded;

constexpr float kInf = std::numeric_limits<float>::infinity();
using support::kNan;

struct Averages {
  std::vector<float> mean, var;
};

struct Update {
  std::int64_t channels = 70, count = 12;
  kernels::NormOptions options{.momentum = 0.9};
  bool shifted = true;
  unsigned halted = 0;
  std::vector<float> var = random_values(70, 2, 1.5f, 0.1f);
};

Averages run(const Update& u, const kernels::Stream& stream = {}) {
  const Guarded mean(random_values(2 * u.channels, 1)), var(u.var), shift(random_values(u.channels, 3));
  Guarded running_mean(random_values(u.channels, 4)), running_var(random_values(u.channels, 5, 1, 0.1f));
  const support::DeviceVector<unsigned> halted(1, u.halted);
  kernels::update_running_statistics(u.channels, u.count, u.options, mean.data(), var.data(),
                                     u.shifted ? shift.data() : nullptr, halted.data(), running_mean.data(),
                                     running_var.data(), stream);
  EXPECT_TRUE(running_mean.intact() && running_var.intact());
  return {copy(running_mean), copy(running_var)};
}

TEST(RunningStatistics, AreTheMovingAverages) {
  for (const double momentum : {0.0, 0.9, 1.0})
    for (const bool unbiased : {false, true})
      for (const bool shifted : {false, true})
        for (const std::int64_t count : {1, 2, 12}) {
          Update u{.count = count, .shifted = shifted};
          u.options.momentum = momentum;
          u.options.unbiased = unbiased;
          const Averages result = run(u);
          const auto mean = random_values(140, 1), shift = random_values(70, 3);
          const auto old_mean = random_values(70, 4), old_var = random_values(70, 5, 1, 0.1f);
          for (std::size_t c = 0; c < 70; ++c) {
            const double center = static_cast<double>(mean[c]) + mean[70 + c] + (shifted ? shift[c] : 0.0f);
            const auto n = static_cast<double>(count);
            const double var = unbiased && count > 1 ? u.var[c] * n / (n - 1) : u.var[c];
            EXPECT_NEAR(result.mean[c], momentum * old_mean[c] + (1 - momentum) * center, 4e-7);
            EXPECT_NEAR(result.var[c], momentum * old_var[c] + (1 - momentum) * var, 8e-7);
          }
        }
}

TEST(RunningStatistics, AHaltedRunAndAnEmptyBatchChangeNothing) {
  for (const Update& u : {Update{.halted = 1}, Update{.count = 0}}) {
    const Averages result = run(u);
    EXPECT_TRUE(same_bits(result.mean, random_values(70, 4)));
    EXPECT_TRUE(same_bits(result.var, random_values(70, 5, 1, 0.1f)));
  }
}

TEST(RunningStatistics, AVarianceBeyondFloatShows) {
  Update u;
  u.var[0] = kInf;
  u.var[1] = kNan;
  const Averages result = run(u);
  EXPECT_EQ(result.var[0], kInf);
  EXPECT_TRUE(std::isnan(result.var[1]));
  for (std::size_t c = 2; c < 70; ++c) EXPECT_TRUE(std::isfinite(result.var[c]));
  u.options.momentum = 1;  // nothing of the batch enters
  EXPECT_TRUE(std::isfinite(run(u).var[0]) && std::isfinite(run(u).var[1]));
}

TEST(RunningStatistics, GiveTheNormOfInference) {
  const std::int64_t channels = 70;
  Guarded running_mean(random_values(channels, 1)), running_var(random_values(channels, 2, 2, 0.2f));
  const Guarded shift(random_values(channels, 3));
  running_var.data()[0] = 0;
  running_var.data()[1] = kInf;
  running_var.data()[2] = 1e-36f;
  running_var.data()[3] = 1e-44f;
  for (const bool shifted : {false, true})
    for (const double eps : {0.0, 1e-5}) {
      Guarded mean(at(2 * channels)), inv_std(at(channels));
      kernels::inference_statistics(channels, eps, running_mean.data(), running_var.data(),
                                    shifted ? shift.data() : nullptr, mean.data(), inv_std.data(), {});
      EXPECT_TRUE(mean.complete() && inv_std.complete());
      for (std::size_t c = 0; c < at(channels); ++c) {
        EXPECT_EQ(mean.data()[c], running_mean.data()[c] - (shifted ? shift.data()[c] : 0.0f));
        EXPECT_EQ(static_cast<double>(mean.data()[c]) + mean.data()[at(channels) + c],
                  static_cast<double>(running_mean.data()[c]) - (shifted ? shift.data()[c] : 0.0f))
            << "the difference is exact";
        const double var = running_var.data()[c];
        const double expected = var == kInf || var + eps == 0 ? 0 : 1 / std::sqrt(var + eps);
        EXPECT_NEAR(inv_std.data()[c], expected, 1e-7 * expected) << c;
      }
    }
}

TEST(RunningStatistics, BitsDependOnNeitherScheduleNorGrid) {
  const Averages expected = run({});
  on_every_schedule_and_grid([&](const kernels::Stream& stream) {
    const Averages result = run({}, stream);
    EXPECT_TRUE(same_bits(result.mean, expected.mean));
    EXPECT_TRUE(same_bits(result.var, expected.var));
  });
}

TEST(RunningStatistics, NoChannelsLaunchNothingAndNegativeOnesAreRefused) {
  simt_host::Executor executor;
  kernels::update_running_statistics(0, 3, {}, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
                                     executor.stream());
  kernels::inference_statistics(0, 1e-5, nullptr, nullptr, nullptr, nullptr, nullptr, executor.stream());
  EXPECT_TRUE(executor.launches().empty());
  EXPECT_THROW(
      kernels::update_running_statistics(-1, 3, {}, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, {}),
      std::invalid_argument);
  EXPECT_THROW(kernels::inference_statistics(-1, 0, nullptr, nullptr, nullptr, nullptr, nullptr, {}),
               std::invalid_argument);
}

}  // namespace
}  // namespace bntrain
