// Which batch norm kernels are chosen for which shape on which device. Nothing runs at these sizes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/batch_norm/launch.cuh"
#include "kernels/batch_norm/placement.hpp"
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
  const IterationSpace space = norm_space<float>(shape);
  const Choice choice = choose(
      "batch_norm", space, pass == NormPass::forward ? forward_footprint(space) : backward_footprint(space),
      wanted, executor.stream(max_blocks));
  if (wanted == NormVariant::automatic && max_blocks == 0) {
    EXPECT_EQ(batch_norm_variant(pass, shape, executor.stream()), choice.variant);
  }
  return choice;
}

/// "cluster of 8", "persistent by 132", "l2_groups of 2", "plain".
std::string described(NormPass pass, const NormShape& shape, const DeviceLimits& device) {
  const Choice choice = chosen(pass, shape, device);
  const std::string name = to_string(choice.variant);
  switch (choice.variant) {
    case NormVariant::cluster:
      return name + " of " + std::to_string(choice.placement.block_group.size);
    case NormVariant::persistent:
      return name + " by " + std::to_string(choice.placement.blocks());
    case NormVariant::l2_groups:
      return name + " of " + std::to_string(choice.groups);
    default:
      return name;
  }
}

struct Expectation {
  const char* name;
  NormShape shape;
  const char *h200, *h200_backward, *a100, *a100_backward, *t4, *t4_backward;
};

class NormKernelChoice : public testing::TestWithParam<Expectation> {};

TEST_P(NormKernelChoice, ByShapeAndDevice) {
  const Expectation& e = GetParam();
  EXPECT_EQ(described(NormPass::forward, e.shape, kH200), e.h200);
  EXPECT_EQ(described(NormPass::backward, e.shape, kH200), e.h200_backward);
  EXPECT_EQ(described(NormPass::forward, e.shape, kA100), e.a100);
  EXPECT_EQ(described(NormPass::backward, e.shape, kA100), e.a100_backward);
  EXPECT_EQ(described(NormPass::forward, e.shape, kT4), e.t4);
  EXPECT_EQ(described(NormPass::backward, e.shape, kT4), e.t4_backward);
}

INSTANTIATE_TEST_SUITE_P(
    , NormKernelChoice,
    testing::Values(Expectation{"256x20x24x24", images(256, 20, 24), "cluster of 8", "cluster of 16",
                                "persistent by 100", "persistent by 80", "persistent by 36",
                                "persistent by 24"},
                    Expectation{"256x50x10x10", images(256, 50, 10), "cluster of 4", "cluster of 4",
                                "persistent by 100", "persistent by 100", "persistent by 34",
                                "persistent by 40"},
                    Expectation{"32x512x7x7", images(32, 512, 7), "cluster of 1", "cluster of 1",
                                "cluster of 1", "cluster of 1", "cluster of 1", "cluster of 1"},
                    Expectation{"128x256x56x56", images(128, 256, 56), "cluster of 16", "cluster of 16",
                                "persistent by 99", "persistent by 88", "persistent by 32", "plain"},
                    Expectation{"256x64x112x112", images(256, 64, 112), "persistent by 132",
                                "persistent by 131", "persistent by 98", "plain", "plain", "plain"},
                    Expectation{"65536x1024", rows(65536, 1024), "persistent by 129", "persistent by 128",
                                "persistent by 86", "l2_groups of 1", "plain", "plain"},
                    Expectation{"4096x1024", rows(4096, 1024), "cluster of 8", "cluster of 16",
                                "persistent by 96", "persistent by 88", "persistent by 32", "plain"},
                    Expectation{"256x10x10x50", images(256, 50, 10, Layout::channels_last), "cluster of 16",
                                "cluster of 16", "persistent by 77", "persistent by 77", "persistent by 32",
                                "persistent by 32"},
                    Expectation{"256x128", rows(256, 128), "cluster of 1", "cluster of 1", "cluster of 1",
                                "cluster of 1", "cluster of 1", "cluster of 1"}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST(NormKernelVariant, ChannelsTooLargeForTheChipStayInALargeCache) {
  EXPECT_EQ(described(NormPass::forward, images(256, 64, 112), kRtx4090), "l2_groups of 2");
  EXPECT_EQ(described(NormPass::backward, images(256, 64, 112), kRtx4090), "l2_groups of 1");
  // All of it at once: that is plain.
  EXPECT_EQ(described(NormPass::forward, images(256, 2, 112), kRtx4090), "plain");
}

TEST(NormKernelVariant, FewChannelsTakeTheWholeChip) {
  // 1.6 MB per channel: three clusters of 16 would leave 84 of 132 multiprocessors idle.
  EXPECT_EQ(described(NormPass::forward, images(128, 3, 56), kH200), "persistent by 96");
}

TEST(NormKernelVariant, PersistentTeamsFillTheDeviceAndHoldEveryChunk) {
  for (const DeviceLimits& device : {kH200, kA100, kT4, kRtx4090})
    for (const NormPass pass : {NormPass::forward, NormPass::backward})
      for (const NormShape& shape : {images(256, 20, 24), images(128, 256, 56), images(256, 64, 112),
                                     rows(65536, 1024), rows(4096, 1000), images(3, 7, 5)}) {
        const IterationSpace space = norm_space<float>(shape);
        try {
          const on_chip::Placement p = chosen(pass, shape, device, NormVariant::persistent).placement;
          EXPECT_LE(p.blocks(), device.multiprocessors * 8);
          EXPECT_GE(std::int64_t{p.block_group.size} * p.block_group.chunks, space.chunks);
          EXPECT_LT(std::int64_t{p.block_group.size - 1} * p.block_group.chunks, space.chunks)
              << "a block without chunks";
          EXPECT_LE(p.block_groups, space.groups);
          EXPECT_LE(p.shared_bytes, device.shared_bytes_per_block);
        } catch (const std::invalid_argument&) {
        }
      }
}

TEST(NormKernelVariant, CapsOnTheBlocksAreKept) {
  const NormShape shape = images(256, 20, 24);
  const auto capped = [&](NormVariant wanted, int cap) {
    return chosen(NormPass::forward, shape, kH200, wanted, cap);
  };
  EXPECT_EQ(capped(NormVariant::cluster, 20).placement.blocks(), 16);  // two clusters of 8
  EXPECT_LE(capped(NormVariant::persistent, 20).placement.blocks(), 20);
  EXPECT_EQ(capped(NormVariant::automatic, 1).variant, NormVariant::plain);
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
  EXPECT_THAT(message(large, kH200, NormVariant::cluster),
              HasSubstr("batch_norm: a cluster of blocks cannot"));
  EXPECT_THAT(message(images(256, 20, 24), kA100, NormVariant::cluster), HasSubstr("cannot hold"))
      << "there are no clusters";
  EXPECT_THAT(message(large, kA100, NormVariant::persistent), HasSubstr("the device cannot hold"));
  EXPECT_THAT(message(large, kT4, NormVariant::l2_groups), HasSubstr("half the L2 cache cannot hold"));
  EXPECT_EQ(message(large, kT4, NormVariant::plain), "");

  alignas(16) std::byte workspace[4096];
  std::vector<float> x(3 * 5 * 40), c(6);
  DeviceLimits small = kT4;
  small.shared_bytes_per_block = 256;
  Executor executor({.device = small});
  EXPECT_THROW(
      batch_norm_forward({5, 3, 40}, {}, x.data(), c.data(), c.data(), x.data(), c.data(), c.data(), c.data(),
                         nullptr, nullptr, workspace, executor.stream(), NormVariant::cluster),
      std::invalid_argument);
  EXPECT_TRUE(executor.launches().empty());
}

TEST(NormKernelVariant, HasAName) {
  EXPECT_STREQ(to_string(NormVariant::automatic), "automatic");
  EXPECT_STREQ(to_string(NormVariant::cluster), "cluster");
  EXPECT_EQ(batch_norm_variant(NormPass::forward, {0, 3, 4}, {}), NormVariant::plain)
      << "nothing is launched";
  EXPECT_THROW(batch_norm_variant(NormPass::forward, {-1, 3, 4}, {}), std::invalid_argument);
}

}  // namespace
}  // namespace bntrain::kernels
