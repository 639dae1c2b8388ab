// The copy copies and the chains are what they say, or their rates would mean nothing.
#include "kernels/peaks.hpp"

#include <stdexcept>

#include "kernels/kernel_runs.hpp"
#include "support/guarded.hpp"

namespace bntrain {
namespace {

using support::Guarded;

TEST(Peaks, TheCopyIsTheSameBitsOnEveryGrid) {
  for (const std::int64_t size : {4, 1024, 40000}) {
    const Guarded from(random_values(size, 1));
    on_every_schedule_and_grid([&](const kernels::Stream& stream) {
      Guarded to(at(size));
      kernels::copy_floats(size, from.data(), to.data(), stream);
      EXPECT_TRUE(to.complete());
      EXPECT_TRUE(same_bits(to.values(), from.values()));
    });
  }
}

TEST(Peaks, TheCopyRefusesWhatIsNoWholeVector) {
  Guarded from(8), to(8);
  EXPECT_THROW(kernels::copy_floats(7, from.data(), to.data(), {}), std::invalid_argument);
  EXPECT_THROW(kernels::copy_floats(-4, from.data(), to.data(), {}), std::invalid_argument);
  EXPECT_THROW(kernels::copy_floats(4, from.data() + 1, to.data(), {}), std::invalid_argument);
  EXPECT_THROW(kernels::copy_floats(4, from.data(), to.data() + 1, {}), std::invalid_argument);
}

TEST(Peaks, EveryChainHasAllItsLinks) {
  on_every_schedule_and_grid([&](const kernels::Stream& stream) {
    const kernels::ChainSize size = kernels::multiply_add_chain_size(stream);
    Guarded sums(at(size.threads));
    kernels::multiply_add_chains(5, 2, 1, sums.data(), stream);
    EXPECT_TRUE(sums.complete());
    float expected = 0;
    for (std::int64_t k = 0; k < size.chains_per_thread; ++k)
      expected += 32 * static_cast<float>(k) + 31;  // k, 2k + 1, 4k + 3, ...
    for (const float sum : sums.values()) ASSERT_EQ(sum, expected);
  });
}

}  // namespace
}  // namespace bntrain
