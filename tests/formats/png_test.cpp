// Pictures for reports, read back by the reader of the library.
#include "formats/png.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "data/picture.hpp"
#include "support/temporary_folder.hpp"

namespace bntrain {
namespace {

using Bytes = std::vector<std::uint8_t>;

class PngTest : public ::testing::Test {
 protected:
  Picture read_back(const Png& png) const {
    std::ofstream(folder.file("p.png"), std::ios::binary) << png.bytes;
    return read_picture(folder.file("p.png"));
  }
  TemporaryFolder folder;
};

TEST_F(PngTest, GreyAndRgbKeepEveryPixel) {
  const Picture grey = read_back(png(Bytes{0, 1, 2, 253, 254, 255}, {1, 2, 3, false}, 3));
  EXPECT_EQ(grey.height, 2);
  EXPECT_EQ(grey.width, 3);
  EXPECT_EQ(grey.rgb, (Bytes{0, 0, 0, 1, 1, 1, 2, 2, 2, 253, 253, 253, 254, 254, 254, 255, 255, 255}));
  const Picture rgb = read_back(png(Bytes{1, 2, 11, 12, 21, 22}, {3, 1, 2, false}, 64));
  EXPECT_EQ(rgb.rgb, (Bytes{1, 11, 21, 2, 12, 22}));
}

TEST_F(PngTest, OtherNumbersOfChannelsShowTheFirst) {
  EXPECT_EQ(read_back(png(Bytes{7, 8, 9, 10}, {2, 1, 2, false}, 64)).rgb, (Bytes{7, 7, 7, 8, 8, 8}));
  EXPECT_EQ(read_back(png(Bytes{7, 8, 9, 10}, {4, 1, 1, false}, 64)).rgb, (Bytes{7, 7, 7}));
}

TEST_F(PngTest, ALargeImageIsReducedToMeans) {
  // 3 x 5 by a factor of 2: squares at the border are cut off.
  const Bytes pixels = {0, 4, 10, 10, 100,  //
                        8, 0, 10, 11, 50,   //
                        6, 8, 20, 40, 9};
  const Picture small = read_back(png(pixels, {1, 3, 5, false}, 3));
  EXPECT_EQ(small.height, 2);
  EXPECT_EQ(small.width, 3);
  EXPECT_EQ(small.rgb, (Bytes{3, 3, 3, 10, 10, 10, 75, 75, 75, 7, 7, 7, 30, 30, 30, 9, 9, 9}));
}

TEST(Base64Test, PadsToFours) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64(std::string("\0\xff\xfe", 3)), "AP/+");
}

}  // namespace
}  // namespace bntrain
