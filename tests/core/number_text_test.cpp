#include "core/number_text.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

namespace bntrain {
namespace {

TEST(ShortestText, ReadsBackAsTheSameNumber) {
  for (const double value : {0.1, 1.0 / 3, 1e-300, 123456789.0, -2.5e17})
    EXPECT_EQ(std::strtod(shortest_text(value).c_str(), nullptr), value);
}

TEST(ShortestText, HasAnExponentWherePrintfsGeneralFormHasOne) {
  EXPECT_EQ(shortest_text(0.9), "0.9");
  EXPECT_EQ(shortest_text(1), "1");
  EXPECT_EQ(shortest_text(0.0001), "0.0001");
  EXPECT_EQ(shortest_text(1e-5), "1e-05");
}

}  // namespace
}  // namespace bntrain
