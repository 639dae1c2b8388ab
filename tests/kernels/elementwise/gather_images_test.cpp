#include <numeric>
#include <stdexcept>

#include "kernels/kernel_runs.hpp"
#include "kernels/kernels.hpp"
#include "support/device_vector.hpp"
#include "support/guarded.hpp"

namespace bntrain {
namespace {

using support::Guarded;

/// `count` images of bytes, `offset` bytes beyond a 16-byte boundary.
struct Images {
  std::int64_t count, pixels;
  support::DeviceVector<std::uint8_t> memory;
  std::size_t begin;

  Images(std::int64_t n, std::int64_t size, std::size_t offset = 0)
      : count(n), pixels(size), memory(at(n * size) + 32) {
    begin = (16 - reinterpret_cast<std::uintptr_t>(memory.data()) % 16) % 16 + offset;
    for (std::int64_t i = 0; i < n * size; ++i)
      memory[begin + at(i)] = static_cast<std::uint8_t>(i * 7 + i / 256);
  }
  const std::uint8_t* data() const { return memory.data() + begin; }
};

struct Call {
  std::int64_t batch, first;
  bool reversed = true;    ///< else in the images' own order
  std::size_t offset = 0;  ///< of the output, in floats
};

void expect_exact(const Images& images, const Call& call, const kernels::Stream& stream = {}) {
  support::DeviceVector<std::int64_t> order(at(images.count));
  std::iota(order.rbegin(), order.rend(), 0);
  const support::DeviceVector<kernels::BatchState> state(1, {call.first, 0, 1});
  Guarded out(at(call.batch * images.pixels), call.offset);
  kernels::gather_images(call.batch, images.pixels, images.data(), call.reversed ? order.data() : nullptr,
                         call.first != 0 ? state.data() : nullptr, out.data(), stream);
  EXPECT_TRUE(out.complete());
  for (std::int64_t n = 0; n < call.batch; ++n)
    for (std::int64_t i = 0; i < images.pixels; ++i) {
      const std::int64_t image = call.reversed ? images.count - 1 - call.first - n : call.first + n;
      ASSERT_EQ(out.data()[n * images.pixels + i],
                static_cast<float>(images.data()[image * images.pixels + i]) / 255.0f)
          << "image " << n << ", pixel " << i;
    }
}

TEST(GatherImages, EveryByteIsItsExactQuotient) {
  const Images images(2, 512);
  expect_exact(images, {.batch = 2, .first = 0});
}

TEST(GatherImages, FollowsTheOrderFromItsPlace) {
  for (const std::int64_t pixels : {784, 12, 7, 1})
    for (const std::size_t offset : {0, 1})
      for (const bool reversed : {true, false})
        for (const std::int64_t first : {0, 3}) {
          SCOPED_TRACE(std::to_string(pixels) + " pixels, offset " + std::to_string(offset));
          expect_exact(Images(9, pixels),
                       {.batch = 5, .first = first, .reversed = reversed, .offset = offset});
          expect_exact(Images(9, pixels, 1),
                       {.batch = 6, .first = first, .reversed = reversed, .offset = offset});
        }
}

TEST(GatherImages, NormalisesByChannel) {
  const auto mean = support::on_device<float>({0.485f, 0.456f, -3}),
             std = support::on_device<float>({0.229f, 0.225f, 1e-3f});
  for (const std::int64_t spatial : {1, 6, 8, 85}) {  // channels end within a vector, or not
    const Images images(3, 3 * spatial);
    Guarded out(at(3 * images.pixels));
    kernels::gather_images(3, images.pixels, images.data(), nullptr, nullptr, out.data(), {},
                           {mean.data(), std.data(), spatial});
    EXPECT_TRUE(out.complete());
    for (std::int64_t i = 0; i < 3 * images.pixels; ++i) {
      const std::int64_t channel = i % images.pixels / spatial;
      const float centred = static_cast<float>(images.data()[i]) / 255.0f - mean[at(channel)];
      ASSERT_EQ(out.data()[i], centred / std[at(channel)]) << "pixel " << i << " of channels of " << spatial;
    }
  }
}

TEST(GatherImages, IsRightInEveryScheduleOnEveryGrid) {
  const Images images(40, 784);
  on_every_schedule_and_grid(
      [&](const kernels::Stream& stream) { expect_exact(images, {.batch = 37, .first = 2}, stream); });
}

TEST(GatherImages, LaunchesNothingForNoImages) {
  simt_host::Executor executor;
  kernels::gather_images(0, 784, nullptr, nullptr, nullptr, nullptr, executor.stream());
  EXPECT_TRUE(executor.launches().empty());
}

TEST(GatherImages, RefusesNegativeSizes) {
  EXPECT_THROW(kernels::gather_images(-1, 784, nullptr, nullptr, nullptr, nullptr, {}),
               std::invalid_argument);
  EXPECT_THROW(kernels::gather_images(1, -784, nullptr, nullptr, nullptr, nullptr, {}),
               std::invalid_argument);
}

}  // namespace
}  // namespace bntrain
