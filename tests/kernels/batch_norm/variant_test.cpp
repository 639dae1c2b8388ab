// Which batch norm kernels are chosen for which shape on which device. Nothing runs at these sizes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/batch_norm/launch.cuh"
#include "kernels/batch_norm/placement.hpp"
#include "kernels/batch_norm/resident.cuh"
#include "kernels/simt/host/executor.hpp"

namespace bntrain::kernels {
namespace {

using simt_host::Executor;
using ::testing::HasSubstr;

constexpr std::int64_t kKilo = 1024, kMega = 1024 * 1024;

const DeviceLimits kH200{132, 90, 227 * kKilo, 50 * kMega};
const DeviceLimits kA100{108, 80, 163 * kKilo, 40 * kMega};
const DeviceLimits kT4{40, 75, 64 * kKilo, 4 * kMega};
const DeviceLimits kRtx4090{128, 89, 99 * kKilo, 72 * kMega};

NormShape images(std::int64_t batch, std::int64_t channels, std::int64_t height, Layout layout = {}) {
  return {batch, channels, height * height, layout};
}
NormShape rows(std::int64_t count, std::int64_t channels) {
  return {count, channels, 1};
}

Choice chosen(NormPass pass, const NormShape& shape, const DeviceLimits& device,
              NormVariant wanted = NormVariant::automatic, int max_blocks = 0) {
  Executor executor({.device = device});
  const Choice choice = choose("batch_norm", pass, shape, wanted, executor.stream(max_blocks));
  if (wanted == NormVariant::automatic && max_blocks == 0) {
    EXPECT_EQ(batch_norm_variant(pass, shape, executor.stream()), choice.variant);
  }
  return choice;
}

/// "resident, 4 x 320 x 5" (blocks of a cluster, threads, vectors of a thread), for channels last with the
/// columns, "resident, 4 x 224 x 7, 4 columns"; "streamed, strips of 32 channels, 132 blocks, 2 groups",
/// "streamed as a whole, 128 x 640"; "plain".
std::string described(NormPass pass, const NormShape& shape, const DeviceLimits& device) {
  const Choice choice = chosen(pass, shape, device);
  const std::string name = to_string(choice.variant);
  const ResidentTuning& t = choice.tuning;
  switch (choice.variant) {
    case NormVariant::resident:
      return name + ", " + std::to_string(t.cluster) + " x " + std::to_string(t.threads) + " x " +
             std::to_string(t.vectors) + (t.columns > 1 ? ", " + std::to_string(t.columns) + " columns" : "");
    case NormVariant::streamed: {
      const streamed::Placement& p = choice.streamed;
      if (p.kernel == streamed::Placement::Kernel::whole)
        return name + " as a whole, " + std::to_string(p.config.grid) + " x " +
               std::to_string(p.config.block);
      return name + ", strips of " + std::to_string(p.strips.strip_channels) + ", " +
             std::to_string(p.config.grid) + " blocks, " + std::to_string(p.strips.groups) + " groups";
    }
    default:
      return name;
  }
}

struct Expectation {
  const char* name;
  NormShape shape;
  const char *h200, *a100;
};

class NormKernelChoice : public testing::TestWithParam<Expectation> {};

TEST_P(NormKernelChoice, ByShapeAndDevice) {
  const Expectation& e = GetParam();
  EXPECT_EQ(described(NormPass::forward, e.shape, kH200), e.h200);
  EXPECT_EQ(described(NormPass::forward, e.shape, kA100), e.a100);
  if (std::string(e.h200).starts_with("resident")) {
    EXPECT_EQ(described(NormPass::backward, e.shape, kH200), e.h200) << "both passes have the same geometry";
  }
}

INSTANTIATE_TEST_SUITE_P(
    , NormKernelChoice,
    testing::Values(
        // What was fastest on an H200.
        Expectation{"256x20x24x24", images(256, 20, 24), "resident, 16 x 256 x 9",
                    "streamed, strips of 1, 108 blocks, 20 groups"},
        Expectation{"256x50x10x10", images(256, 50, 10), "resident, 4 x 320 x 5",
                    "streamed, strips of 1, 108 blocks, 25 groups"},
        Expectation{"32x512x7x7", images(32, 512, 7), "resident, 1 x 224 x 7", "resident, 1 x 224 x 7"},
        Expectation{"32x7x7x512", images(32, 512, 7, Layout::channels_last),
                    "resident, 4 x 224 x 7, 4 columns", "streamed, strips of 64, 108 blocks, 8 groups"},
        Expectation{"256x128", rows(256, 128), "resident, 1 x 128 x 4, 2 columns",
                    "resident, 1 x 128 x 4, 2 columns"},
        // Small ones, scalars, few channels.
        Expectation{"4x3x5x5", images(4, 3, 5), "resident, 1 x 128 x 1", "resident, 1 x 128 x 1"},
        Expectation{"33x5", rows(33, 5), "resident, 1 x 32 x 9, 8 columns",
                    "resident, 1 x 32 x 9, 8 columns"},
        Expectation{"64x3x32x32", images(64, 3, 32), "resident, 16 x 256 x 4",
                    "streamed, strips of 1, 108 blocks, 3 groups"},
        Expectation{"4096x1024", rows(4096, 1024), "resident, 8 x 320 x 7, 4 columns",
                    "streamed, strips of 64, 108 blocks, 8 groups"}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST(NormKernelVariant, WhatIsTooLargeForAClusterTakesTheWholeChip) {
  for (const NormShape& shape : {images(128, 3, 56), images(128, 256, 56), images(256, 64, 112),
                                 rows(65536, 1024), images(256, 50, 10, Layout::channels_last)}) {
    EXPECT_NE(chosen(NormPass::forward, shape, kH200).variant, NormVariant::resident);
    EXPECT_NE(chosen(NormPass::backward, shape, kH200).variant, NormVariant::resident);
  }
}

TEST(NormKernelVariant, AResidentClusterHasRoomForItsChannels) {
  for (const DeviceLimits& device : {kH200, kA100, kT4, kRtx4090})
    for (const std::int64_t batch : {1, 2, 31, 257, 4096})
      for (const std::int64_t channels : {1, 3, 20, 64, 1000})
        for (const std::int64_t height : {1, 2, 5, 24, 31})
          for (const Layout layout : {Layout::channels_first, Layout::channels_last}) {
            const ResidentSpace whole = resident_space({batch, channels, height * height, layout}, 4);
            const ResidentTuning t = resident_tuning(whole, device);
            if (t.vectors == 0) continue;
            SCOPED_TRACE(testing::Message() << batch << " x " << channels << " x " << height);
            const ResidentSpace space = tuned(whole, t);
            EXPECT_EQ(t.threads % simt::kWarpSize, 0);
            EXPECT_LE(t.threads, resident_threads(t.vectors));
            EXPECT_LE(t.cluster, device.compute_capability >= 90 ? 16 : 1);
            EXPECT_GE(std::int64_t{t.threads / t.columns} * t.vectors, space.share);
            EXPECT_GE(std::int64_t{t.cluster} * space.share, space.vectors);
            EXPECT_EQ(std::int64_t{space.vectors} * space.width / space.channels_per_vector,
                      batch * height * height);
            EXPECT_GE(std::int64_t{space.groups} * t.columns * space.channels_per_vector, channels);
          }
}

TEST(NormKernelVariant, DivisionByMultiplicationIsExact) {
  const std::uint32_t largest = 0x7fff'ffff;
  for (const std::uint32_t divisor :
       {1u, 2u, 3u, 7u, 144u, 641u, 65535u, 65536u, 65537u, 0x4000'0001u, largest})
    for (const std::uint32_t n :
         {0u, 1u, divisor - 1, divisor, 2 * (divisor / 2) + 1, 3 * (divisor / 3), largest - 1, largest})
      EXPECT_EQ(divide(n, fast_division(divisor)), n / divisor) << n << " / " << divisor;
}

TEST(NormKernelVariant, CapsOnTheBlocksAreKept) {
  const NormShape shape = images(256, 20, 24);
  const auto capped = [&](NormVariant wanted, int cap) {
    return chosen(NormPass::forward, shape, kH200, wanted, cap);
  };
  EXPECT_EQ(capped(NormVariant::resident, 20).variant, NormVariant::resident);
  EXPECT_THROW(capped(NormVariant::streamed, 20), std::invalid_argument);
  EXPECT_EQ(capped(NormVariant::automatic, 1).variant, NormVariant::plain);
}

TEST(NormKernelVariant, AClusterMayFillTheDevice) {
  // The least shared memory of a multiprocessor with which a channel stays on it.
  const auto least = [](NormPass pass, int multiprocessors) {
    for (std::int64_t bytes = 0; bytes < 227 * kKilo; bytes += 128) {
      const Choice choice = chosen(pass, images(32, 512, 7), {multiprocessors, 90, bytes, kMega});
      if (choice.variant == NormVariant::resident && choice.tuning.cluster == 1) return bytes;
    }
    return std::int64_t{-1};
  };
  for (const NormPass pass : {NormPass::forward, NormPass::backward}) {
    EXPECT_GT(least(pass, 1), 0);
    EXPECT_EQ(least(pass, 1), least(pass, 2)) << "one block on each is enough";
  }
}

TEST(NormKernelVariant, WhatCannotServeSaysSo) {
  const auto message = [](const NormShape& shape, const DeviceLimits& device, NormVariant wanted) {
    try {
      chosen(NormPass::backward, shape, device, wanted);
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const NormShape large = images(256, 64, 112);
  EXPECT_THAT(message(large, kH200, NormVariant::resident),
              HasSubstr("batch_norm: the registers of a cluster cannot"));
  EXPECT_THAT(message(images(256, 20, 24), kA100, NormVariant::resident), HasSubstr("cannot hold"))
      << "there are no clusters";
  EXPECT_THAT(message(large, kT4, NormVariant::streamed), HasSubstr("cannot share a channel"))
      << "little shared memory";
  EXPECT_THAT(message(images(256, 3, 7), kH200, NormVariant::streamed), HasSubstr("cannot share a channel"))
      << "rows that do not consist of 16 bytes";
  EXPECT_EQ(message(large, kT4, NormVariant::plain), "");
}

TEST(NormKernelVariant, HasAName) {
  EXPECT_STREQ(to_string(NormVariant::automatic), "automatic");
  EXPECT_STREQ(to_string(NormVariant::resident), "resident");
  EXPECT_EQ(batch_norm_variant(NormPass::forward, {0, 3, 4}, {}), NormVariant::plain)
      << "nothing is launched";
  EXPECT_THROW(batch_norm_variant(NormPass::forward, {-1, 3, 4}, {}), std::invalid_argument);
}

}  // namespace
}  // namespace bntrain::kernels
