// What the convolution leaves for the block behind it: the same bits as reducing its output afterwards.
#include <algorithm>
#include <bit>

#include "backend/cpu/conv_problem.hpp"

namespace bntrain::cpu {
namespace {

using support::Guarded;

struct Reduced {
  std::vector<Moments> moments;
  Guarded pooled;
};

class ConvEpilogueTest : public KernelTest {};

bool same_bits(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

TEST_P(ConvEpilogueTest, GivesTheBitsOfBlockReduceAndLeavesTheOutputAlone) {
  const std::vector<ConvCase> cases = {
      {1, 5, 5, 1, 0, 24, 24, 0},  // the reference network's
      {3, 7, 3, 1, 1, 9, 11, 0},   // odd, several chunks
      {2, 4, 1, 1, 0, 7, 40, 0},   // a row longer than a chunk
      {1, 20, 2, 2, 0, 3, 3, 1},  {4, 50, 3, 1, 0, 2, 2, 0},
      {1, 1, 1, 1, 0, 5, 150, 0}, {2, 70, 3, 1, 1, 12, 5, 0},  // more channels than one pass has
  };
  int i = 0;
  for (const ConvCase& c : cases)
    for (std::int64_t pool = 1; pool <= 3; ++pool) {
      if (c.out_height < pool) continue;
      for (const auto& [norm, average] : {std::pair{true, false}, {false, false}, {true, true}}) {
        SCOPED_TRACE(c.name() + ", pool " + std::to_string(pool) + (norm ? ", norm" : "") +
                     (average ? ", average" : ""));
        const int valid = 1 + i++ % k.lanes;
        const ConvProblem p =
            make_problem(c, valid, [this](std::int64_t size) { return random(size, 0.5f); });
        std::vector<float> gamma = random(c.out_channels);
        gamma[0] = 0;
        const BlockShape block{c.out_channels,        c.out_height, c.out_width, c.out_height / pool,
                               c.out_width / pool,    pool,         norm,        average,
                               {ActivationKind::relu}};
        const auto pooled_size = at(block.channels * block.out_height * block.out_width * k.lanes);
        for (const ConvAlgorithm* conv : algorithms_for(k, p)) {
          SCOPED_TRACE(conv->name);
          Reduced fused{std::vector<Moments>(at(c.out_channels), Moments{-1, -1}), Guarded(pooled_size)};
          Reduced separate{std::vector<Moments>(at(c.out_channels)), Guarded(pooled_size)};

          const Guarded in = p.padded_lanes(k.lanes, 1e3f);
          std::vector<float> weights(at(conv->packed_floats(p.shape)));
          conv->pack(p.shape, p.weight.data(), weights.data());
          Guarded scratch(at(conv->scratch_floats(p.shape)));
          const auto out_size = at(p.output().size() * k.lanes);
          Guarded out(out_size), plain(out_size);
          const Guarded aligned(weights);
          conv->forward(p.shape, {0, c.out_channels}, in.data(), aligned.data(), p.bias.data(), plain.data(),
                        ConvEpilogue{}, scratch.data());
          conv->forward(p.shape, {0, c.out_channels}, in.data(), aligned.data(), p.bias.data(), out.data(),
                        {&block, norm ? gamma.data() : nullptr, norm ? fused.moments.data() : nullptr,
                         fused.pooled.data(), valid},
                        scratch.data());
          k.block_reduce(block, plain.data(), norm ? gamma.data() : nullptr, valid,
                         norm ? separate.moments.data() : nullptr, separate.pooled.data());

          EXPECT_TRUE(out.complete());
          EXPECT_TRUE(std::ranges::equal(out.values(), plain.values()));
          if (!pools_raw(block)) {
            EXPECT_TRUE(fused.pooled.untouched());
          } else {
            EXPECT_TRUE(fused.pooled.complete());
            EXPECT_TRUE(std::ranges::equal(fused.pooled.values(), separate.pooled.values()));
          }
          if (!norm) continue;
          for (std::size_t channel = 0; channel < fused.moments.size(); ++channel) {
            EXPECT_TRUE(same_bits(fused.moments[channel].mean, separate.moments[channel].mean)) << channel;
            EXPECT_TRUE(same_bits(fused.moments[channel].m2, separate.moments[channel].m2)) << channel;
          }
        }
      }
    }
}

BNTRAIN_FOR_EVERY_TABLE(ConvEpilogueTest);

}  // namespace
}  // namespace bntrain::cpu
