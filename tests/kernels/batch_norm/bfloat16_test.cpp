// Storage in bfloat16, sums in float32 and double: the results of the rounded tensors are exact but for the
// rounding of what is stored.
#include "kernels/simt/bfloat16.hpp"

#include <cmath>
#include <limits>

#include "kernels/batch_norm/bfloat16_norm.hpp"
#include "kernels/kernel_runs.hpp"
#include "support/device_vector.hpp"
#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace bntrain {
namespace {

using simt::Bfloat16;
using support::DeviceVector;
using support::on_device;

constexpr double kStep = 0x1p-8;  // half the spacing of bfloat16 at 1
constexpr double kEps = 1e-5;

float through(float value) {
  return static_cast<float>(Bfloat16(value));
}

TEST(Bfloat16, RoundsToTheNearestTiesToEven) {
  EXPECT_EQ(through(1), 1);
  EXPECT_EQ(through(-0.0f), 0);
  EXPECT_TRUE(std::signbit(through(-0.0f)));
  EXPECT_EQ(through(1 + 0x1p-8f), 1);                       // a tie: down to even
  EXPECT_EQ(through(1 + 3 * 0x1p-8f), 1 + 0x1p-6f);         // a tie: up to even
  EXPECT_EQ(through(1 + 0x1p-8f + 0x1p-20f), 1 + 0x1p-7f);  // above it
  EXPECT_EQ(through(1 + 0x1p-8f - 0x1p-20f), 1);            // below it
  EXPECT_EQ(through(-1 - 0x1p-8f - 0x1p-20f), -1 - 0x1p-7f);
}

TEST(Bfloat16, KeepsTheRangeOfFloat) {
  EXPECT_EQ(through(0x1p127f), 0x1p127f);
  EXPECT_EQ(through(0x1p-126f), 0x1p-126f);
  EXPECT_EQ(through(std::numeric_limits<float>::max()), std::numeric_limits<float>::infinity());
  EXPECT_EQ(through(-std::numeric_limits<float>::infinity()), -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(through(std::numeric_limits<float>::quiet_NaN())));
  EXPECT_TRUE(std::isnan(through(std::bit_cast<float>(0x7f80'0001u))))
      << "its mantissa lies below what is kept";
}

struct Stored {
  explicit Stored(const std::vector<float>& values) {
    for (const float value : values) tensor.emplace_back(value);
  }
  reference::Values exact() const {
    reference::Values values;
    for (const Bfloat16 value : tensor) values.push_back(static_cast<float>(value));
    return values;
  }
  DeviceVector<Bfloat16> tensor;
};

/// Both passes against the reference for tensors that are what was stored.
void check_norm(const kernels::NormShape& shape, const kernels::Stream& stream) {
  const std::int64_t size = shape.batch * shape.channels * shape.spatial;
  const reference::NormShape exact_shape{shape.batch, shape.channels, shape.spatial};
  const DeviceVector<float> gamma = on_device(random_values(shape.channels, 3, 1)),
                            beta = on_device(random_values(shape.channels, 4));
  const Stored x(random_values(size, 1, 3)), dy(random_values(size, 2));
  const std::int64_t chunks = kernels::bfloat16_chunks(shape);

  DeviceVector<kernels::ChannelMoments> parts(at(chunks * shape.channels));
  const std::size_t channels = at(shape.channels);
  DeviceVector<float> mean(2 * channels), var(channels), inv_std(channels);
  bfloat16_statistics(shape, x.tensor.data(), parts.data(), stream);
  kernels::batch_norm_finalize(chunks, shape.channels, parts.data(), {.eps = kEps}, mean.data(), var.data(),
                               inv_std.data(), nullptr, nullptr, stream);
  const reference::NormForward forward =
      reference::norm_forward(x.exact(), reference::widen(gamma), reference::widen(beta), exact_shape, kEps);
  EXPECT_LE(support::relative_norm({mean.begin(), mean.begin() + shape.channels}, forward.mean), 1e-6);
  EXPECT_LE(support::relative_norm(var, forward.var), 1e-6);

  DeviceVector<Bfloat16> stored(x.tensor.size());
  const auto result = [&] {
    std::vector<float> values;
    for (const Bfloat16 value : stored) values.push_back(static_cast<float>(value));
    return values;
  };
  bfloat16_normalize(shape, x.tensor.data(), mean.data(), inv_std.data(), gamma.data(), beta.data(),
                     stored.data(), stream);
  EXPECT_TRUE(support::close(result(), forward.y, 1.01 * kStep * support::largest(forward.y)));
  EXPECT_GT(support::relative_norm(result(), forward.y), kStep / 10) << "stored in more than bfloat16";

  DeviceVector<double> dbeta_parts(parts.size()), dgamma_parts(parts.size());
  bfloat16_gradient_sums(shape, x.tensor.data(), dy.tensor.data(), mean.data(), inv_std.data(),
                         dbeta_parts.data(), dgamma_parts.data(), stream);
  DeviceVector<float> dgamma(channels), dbeta(channels);
  for (std::size_t c = 0; c < channels; ++c)
    for (std::size_t part = c; part < parts.size(); part += channels) {
      dgamma[c] += static_cast<float>(dgamma_parts[part]);
      dbeta[c] += static_cast<float>(dbeta_parts[part]);
    }
  const reference::NormGradients gradients =
      reference::norm_backward(x.exact(), dy.exact(), reference::widen(gamma), exact_shape, kEps);
  EXPECT_LE(support::relative_norm(dgamma, gradients.gamma), 1e-5);
  EXPECT_LE(support::relative_norm(dbeta, gradients.beta), 1e-5);

  bfloat16_input_gradient(shape, x.tensor.data(), dy.tensor.data(), gamma.data(), mean.data(), inv_std.data(),
                          dgamma.data(), dbeta.data(), stored.data(), stream);
  EXPECT_TRUE(support::close(result(), gradients.x, 1.01 * kStep * support::largest(gradients.x)));
}

/// The same of the resident kernels.
void check_resident(const kernels::NormShape& shape, const kernels::Stream& stream) {
  const std::int64_t size = shape.batch * shape.channels * shape.spatial;
  const reference::NormShape exact_shape{shape.batch, shape.channels, shape.spatial};
  const DeviceVector<float> gamma = on_device(random_values(shape.channels, 3, 1)),
                            beta = on_device(random_values(shape.channels, 4));
  const Stored x(random_values(size, 1, 3)), dy(random_values(size, 2));
  const std::size_t channels = at(shape.channels);
  DeviceVector<float> mean(2 * channels), var(channels), inv_std(channels), dgamma(channels), dbeta(channels);
  Stored y(std::vector<float>(x.tensor.size())), dx = y;
  bfloat16_resident_forward(shape, kEps, x.tensor.data(), gamma.data(), beta.data(), y.tensor.data(),
                            mean.data(), var.data(), inv_std.data(), stream);
  bfloat16_resident_backward(shape, x.tensor.data(), dy.tensor.data(), gamma.data(), mean.data(),
                             inv_std.data(), dx.tensor.data(), dgamma.data(), dbeta.data(), stream);
  const reference::NormForward forward =
      reference::norm_forward(x.exact(), reference::widen(gamma), reference::widen(beta), exact_shape, kEps);
  const reference::NormGradients gradients =
      reference::norm_backward(x.exact(), dy.exact(), reference::widen(gamma), exact_shape, kEps);
  EXPECT_LE(support::relative_norm({mean.begin(), mean.begin() + shape.channels}, forward.mean), 1e-6);
  EXPECT_LE(support::relative_norm(var, forward.var), 1e-6);
  EXPECT_LE(support::relative_norm(dgamma, gradients.gamma), 1e-5);
  EXPECT_LE(support::relative_norm(dbeta, gradients.beta), 1e-5);
  const auto values = [](const Stored& stored) {
    const reference::Values exact = stored.exact();
    return std::vector<float>(exact.begin(), exact.end());
  };
  EXPECT_TRUE(support::close(values(y), forward.y, 1.01 * kStep * support::largest(forward.y)));
  EXPECT_TRUE(support::close(values(dx), gradients.x, 1.01 * kStep * support::largest(gradients.x)));
}

TEST(Bfloat16, BatchNormKeepsItsStatisticsInFloat32) {
  // Vectors of 8 values of one channel, of 8 channels, single values; one chunk and several, blocks and
  // clusters.
  for (const kernels::NormShape& shape : {kernels::NormShape{3, 5, 16}, kernels::NormShape{70, 16, 1},
                                          kernels::NormShape{4, 3, 7}, kernels::NormShape{40, 2, 512}}) {
    SCOPED_TRACE(std::to_string(shape.batch) + " x " + std::to_string(shape.channels) + " x " +
                 std::to_string(shape.spatial));
    on_every_schedule_and_grid([&](const kernels::Stream& stream) {
      check_norm(shape, stream);
      if (stream.max_blocks == 0 || stream.max_blocks > 16) check_resident(shape, stream);
    });
  }
}

}  // namespace
}  // namespace bntrain
