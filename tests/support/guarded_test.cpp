#include "support/guarded.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

namespace bntrain::support {
namespace {

TEST(Guarded, StartsAsNanAndKnowsWhatIsMissing) {
  Guarded buffer(3);
  EXPECT_TRUE(std::isnan(buffer.values()[0]));
  EXPECT_TRUE(buffer.untouched());
  buffer.data()[0] = buffer.data()[2] = 1;
  EXPECT_FALSE(buffer.untouched());
  EXPECT_FALSE(buffer.complete());
  EXPECT_TRUE(buffer.intact());
  buffer.data()[1] = NAN;  // a computed NaN counts as written
  EXPECT_TRUE(buffer.complete());
}

TEST(Guarded, NoticesWritesOutside) {
  Guarded before(3), after(3);
  before.data()[-1] = 0;
  after.data()[3] = NAN;
  EXPECT_FALSE(before.intact());
  EXPECT_FALSE(after.intact());
  EXPECT_TRUE(std::isnan(after.data()[4]));
}

TEST(Guarded, CopiesValuesAndShiftsTheirAddress) {
  const std::vector<float> values{1, 2, 3};
  Guarded buffer(values, 1);
  EXPECT_EQ(std::vector<float>(buffer.values().begin(), buffer.values().end()), values);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64, 4u);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(Guarded(3).data()) % 64, 0u);
  EXPECT_TRUE(buffer.complete());
}

}  // namespace
}  // namespace bntrain::support
