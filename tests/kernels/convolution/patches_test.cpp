// The patches of a convolution, and their sum.
#include <cmath>
#include <limits>
#include <stdexcept>

#include "kernels/kernel_runs.hpp"
#include "kernels/kernels.hpp"
#include "support/guarded.hpp"
#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace bntrain {
namespace {

using kernels::PatchShape;
using support::Guarded;

/// Padding, strides that leave a rest, strides beyond the kernel, a window as large as the image, one pixel.
const PatchShape kPatchShapes[] = {{2, 3, 6, 8, 3, 1, 1}, {1, 2, 7, 6, 3, 2, 0}, {3, 1, 5, 9, 2, 3, 2},
                                   {2, 2, 5, 5, 5, 1, 0}, {1, 1, 1, 1, 1, 1, 0}, {2, 1, 8, 7, 1, 2, 0}};

std::int64_t pixels(const PatchShape& s) {
  return s.batch * s.channels * s.height * s.width;
}
std::int64_t elements(const PatchShape& s) {
  return s.batch * s.patch() * s.places();
}

std::vector<float> gather(const PatchShape& shape, const std::vector<float>& x,
                          const kernels::Stream& stream = {}, std::size_t offset = 0) {
  const Guarded in(x, offset);
  Guarded out(at(elements(shape)), offset);
  kernels::gather_patches(shape, in.data(), out.data(), stream);
  EXPECT_TRUE(out.complete());
  return {out.values().begin(), out.values().end()};
}

std::vector<float> sum(const PatchShape& shape, const std::vector<float>& patches,
                       const kernels::Stream& stream = {}, std::size_t offset = 0) {
  const Guarded in(patches, offset);
  Guarded out(at(pixels(shape)), offset);
  kernels::sum_patches(shape, in.data(), out.data(), stream);
  EXPECT_TRUE(out.complete());
  return {out.values().begin(), out.values().end()};
}

/// y[n, o] = sum of w[o, e] * patches[n, e]: the matrix product that a convolution becomes.
reference::Values product(const PatchShape& s, const std::vector<float>& patches, const std::vector<float>& w,
                          std::int64_t outputs) {
  reference::Values y(at(s.batch * outputs * s.places()));
  for (std::int64_t n = 0; n < s.batch; ++n)
    for (std::int64_t o = 0; o < outputs; ++o)
      for (std::int64_t e = 0; e < s.patch(); ++e)
        for (std::int64_t p = 0; p < s.places(); ++p)
          y[at((n * outputs + o) * s.places() + p)] +=
              static_cast<double>(w[at(o * s.patch() + e)]) *
              static_cast<double>(patches[at((n * s.patch() + e) * s.places() + p)]);
  return y;
}

TEST(Patches, TimesTheWeightsAreTheConvolution) {
  constexpr std::int64_t kOutputs = 2;
  for (const PatchShape& s : kPatchShapes)
    for (const std::size_t offset : {0, 1}) {
      SCOPED_TRACE(testing::PrintToString(std::vector{s.height, s.width, s.kernel, s.stride, s.padding}));
      const std::vector<float> x = random_values(pixels(s), 3), w = random_values(kOutputs * s.patch(), 4);
      const reference::ConvShape shape{s.batch,  s.channels, s.height, s.width,
                                       kOutputs, s.kernel,   s.stride, s.padding};
      const reference::Values expected = reference::conv_forward(reference::widen(x), reference::widen(w),
                                                                 reference::Values(at(kOutputs)), shape);
      const reference::Values y = product(s, gather(s, x, {}, offset), w, kOutputs);
      ASSERT_EQ(y.size(), expected.size());
      for (std::size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(y[i], expected[i], 1e-12) << i;
    }
}

// <gather(x), p> = <x, sum(p)> for all x and p.
TEST(Patches, TheSumIsTheTransposeOfTheGather) {
  for (const PatchShape& s : kPatchShapes)
    for (const std::size_t offset : {0, 1}) {
      SCOPED_TRACE(testing::PrintToString(std::vector{s.height, s.width, s.kernel, s.stride, s.padding}));
      const std::vector<float> x = random_values(pixels(s), 5), p = random_values(elements(s), 6);
      const std::vector<float> gathered = gather(s, x, {}, offset), summed = sum(s, p, {}, offset);
      double left = 0, right = 0, magnitude = 0;
      for (std::size_t i = 0; i < p.size(); ++i) {
        left += static_cast<double>(gathered[i]) * static_cast<double>(p[i]);
        magnitude += std::abs(static_cast<double>(gathered[i]) * static_cast<double>(p[i]));
      }
      for (std::size_t i = 0; i < x.size(); ++i)
        right += static_cast<double>(x[i]) * static_cast<double>(summed[i]);
      EXPECT_NEAR(left, right, support::bound(support::kFloatEps, s.kernel * s.kernel, magnitude));
    }
}

TEST(Patches, NanStaysInItsPatches) {
  const PatchShape shape{2, 2, 4, 4, 3, 1, 1};
  std::vector<float> x = random_values(pixels(shape), 3);
  x[20] = std::numeric_limits<float>::quiet_NaN();  // image 0, channel 1, row 1, column 0
  const std::vector<float> patches = gather(shape, x);
  int found = 0;
  for (std::size_t i = 0; i < patches.size(); ++i) {
    if (!std::isnan(patches[i])) continue;
    ++found;
    EXPECT_EQ(i / 144, 1u) << "another image or channel: " << i;
  }
  EXPECT_EQ(found, 6) << "three rows and two columns of windows";
}

TEST(Patches, BitsDependOnNeitherScheduleNorGrid) {
  const PatchShape shape{3, 2, 11, 9, 3, 2, 1};
  const std::vector<float> x = random_values(pixels(shape), 3), p = random_values(elements(shape), 4);
  const std::vector<float> gathered = gather(shape, x), summed = sum(shape, p);
  on_every_schedule_and_grid([&](const kernels::Stream& stream) {
    EXPECT_TRUE(same_bits(gather(shape, x, stream), gathered));
    EXPECT_TRUE(same_bits(sum(shape, p, stream), summed));
  });
}

TEST(Patches, LaunchNothingForNoElementsAndRefuseWhatMakesNoSense) {
  simt_host::Executor executor;
  for (const PatchShape& shape : {PatchShape{0, 3, 4, 4, 2, 1, 0}, {2, 0, 4, 4, 2, 1, 0}}) {
    kernels::gather_patches(shape, nullptr, nullptr, executor.stream());
    kernels::sum_patches(shape, nullptr, nullptr, executor.stream());
  }
  EXPECT_TRUE(executor.launches().empty());
  for (const PatchShape& shape : {PatchShape{1, 1, 4, 4, 0, 1, 0},
                                  {1, 1, 4, 4, 2, 0, 0},
                                  {1, 1, 4, 4, 2, 1, -1},
                                  {1, 1, 2, 4, 3, 1, 0},
                                  {-1, 1, 4, 4, 2, 1, 0}}) {
    EXPECT_THROW(kernels::gather_patches(shape, nullptr, nullptr, {}), std::invalid_argument);
    EXPECT_THROW(kernels::sum_patches(shape, nullptr, nullptr, {}), std::invalid_argument);
  }
}

}  // namespace
}  // namespace bntrain
