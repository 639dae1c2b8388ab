#include "benchmarks/norm_case.hpp"

#include <gmock/gmock.h>

#include "bntrain/error.hpp"
#include "support/error_message.hpp"

namespace bntrain::benchmarks {
namespace {

using kernels::Layout;
using kernels::NormPass;

TEST(NormCase, IsReadFromItsText) {
  EXPECT_EQ(parse_norm_case("256x20x24x12"), (NormCase{256, 20, 24, 12}));
  EXPECT_EQ(parse_norm_case("65536x1024"), (NormCase{65536, 1024, 1, 1}));
  EXPECT_EQ(parse_norm_case("2x3x9x5+relu+maxpool2"), (NormCase{2, 3, 9, 5, Layout::channels_first, 2}));
  for (const char* text : kNormShapes) EXPECT_EQ(to_string(parse_norm_case(text)), text);
}

TEST(NormCase, RefusesWhatIsNoShape) {
  for (const char* text :
       {"", "x", "256", "256x", "x256", "1x2x3", "1x2x3x4x5", "256x0", "256x-1", "256x20x24x24 ", "2.5x3",
        "256x20+relu+maxpool2", "2x3x4x5+relu+maxpool", "2x3x4x5+relu+maxpool0", "2x3x4x5+relu+maxpool5",
        "2x3x4x5+relu+maxpool2x2", "99999999999999999999x1"}) {
    try {
      parse_norm_case(text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      EXPECT_THAT(error.what(), testing::HasSubstr("\"" + std::string(text) + "\" is no shape"));
    }
  }
}

TEST(NormCase, HasTwoLayoutsWhereTheyDiffer) {
  EXPECT_THAT(layouts_of({2, 3}), testing::ElementsAre(NormCase{2, 3}));
  EXPECT_THAT(layouts_of({2, 3, 4, 5}), testing::ElementsAre(NormCase{2, 3, 4, 5, Layout::channels_first},
                                                             NormCase{2, 3, 4, 5, Layout::channels_last}));
}

TEST(NormCase, PoolsChannelsFirst) {
  const NormCase pooled{2, 3, 9, 5, Layout::channels_first, 2};
  EXPECT_THAT(layouts_of(pooled), testing::ElementsAre(pooled));
  EXPECT_EQ(pooled.out_size(), 2 * 3 * 4 * 2);
  EXPECT_EQ(bytes_moved(pooled, NormPass::forward), (270 + 48) * 4);
  EXPECT_EQ(bytes_moved(pooled, NormPass::backward), (270 + 270 + 48) * 4);
}

TEST(NormCase, CountsTwoTensorsForwardAndThreeBackward) {
  EXPECT_EQ(bytes_moved({2, 3, 4, 5}, NormPass::forward), 2 * 120 * 4);
  EXPECT_EQ(bytes_moved({2, 3, 4, 5}, NormPass::backward), 3 * 120 * 4);
}

TEST(NormCase, ColdSetsFillTheCacheFourTimes) {
  EXPECT_EQ(cold_sets(10, 50), 20);
  EXPECT_EQ(cold_sets(30, 50), 7);
  EXPECT_EQ(cold_sets(199, 50), 2);
  EXPECT_EQ(cold_sets(200, 50), 1);
  EXPECT_EQ(cold_sets(1000, 50), 1);
}

TEST(NormCase, IsHotOnlyWhereOneSetFitsIntoTheCache) {
  EXPECT_TRUE(can_be_hot(50, 50));
  EXPECT_FALSE(can_be_hot(51, 50));
}

}  // namespace
}  // namespace bntrain::benchmarks
