#include "bntrain/tensor.hpp"

#include <gtest/gtest.h>

namespace bntrain {
namespace {

TEST(Shape, CountsAndPrints) {
  const Shape image{20, 12, 11, false};
  EXPECT_EQ(image.spatial(), 132);
  EXPECT_EQ(image.size(), 2640);
  EXPECT_EQ(to_string(image), "(20, 12, 11)");
  EXPECT_EQ(to_string(image, 256), "(256, 20, 12, 11)");

  const Shape flat{1250, 1, 1, true};
  EXPECT_EQ(to_string(flat), "(1250)");
  EXPECT_EQ(to_string(flat, 256), "(256, 1250)");
}

}  // namespace
}  // namespace bntrain
