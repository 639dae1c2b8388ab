// JPEG files that other programs read: warnings, orientations, colours of print, great sizes; and pictures
// turned by a PNG's Exif data.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <fstream>
#include <iterator>

#include "data/exif.hpp"
#include "data/picture.hpp"
#include "support/error_message.hpp"
#include "support/picture_files.hpp"
#include "support/temporary_folder.hpp"

namespace bntrain {
namespace {

using test::Pixels;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

class JpegFile : public testing::Test {
 protected:
  TemporaryFolder folder_;
  std::string path = folder_.file("p.jpg");

  Pixels bytes() const {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  void write(const Pixels& bytes) const {
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  std::string refusal() const {
    return error_message(ErrorKind::data, [&] { read_picture(path); });
  }
  static Pixels pattern(std::size_t size) {
    Pixels rgb;
    for (std::size_t i = 0; i < size; ++i) rgb.push_back(static_cast<std::uint8_t>(i * i % 251));
    return rgb;
  }
};

TEST_F(JpegFile, BytesBetweenSegmentsAreAWarning) {
  test::write_jpeg(path, 16, 8, pattern(16 * 8 * 3));
  const Pixels rgb = read_picture(path).rgb, whole = bytes();
  EXPECT_EQ(read_picture(path).warning, "");
  Pixels more = whole;
  more.insert(more.end() - 2, {1, 2, 3});
  write(more);
  EXPECT_EQ(read_picture(path).rgb, rgb);
  EXPECT_THAT(read_picture(path).warning, HasSubstr("extraneous bytes"));
  more = whole;
  more.insert(more.end(), 1000, 7);  // after the end, as of phones that append films
  write(more);
  EXPECT_EQ(read_picture(path).rgb, rgb);
}

TEST_F(JpegFile, AMissingEndIsAWarningAndMissingRowsAreNot) {
  test::write_jpeg(path, 64, 64, pattern(64 * 64 * 3));
  const Pixels rgb = read_picture(path).rgb, whole = bytes();
  write({whole.begin(), whole.end() - 2});
  EXPECT_EQ(read_picture(path).rgb, rgb);
  EXPECT_THAT(read_picture(path).warning, HasSubstr("Premature end"));
  write({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(whole.size() / 2)});
  EXPECT_THAT(refusal(), HasSubstr("damaged JPEG: Premature end of JPEG file"));
  Pixels both = {whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(whole.size() / 2)};
  both.insert(both.begin() + 20, {1, 2, 3});  // the warning about these must not hide what is missing
  write(both);
  EXPECT_THAT(refusal(), HasSubstr("damaged JPEG"));
}

TEST_F(JpegFile, ColoursOfPrintBecomeRedGreenBlue) {
  Pixels ink;
  for (int i = 0; i < 64; ++i) ink.insert(ink.end(), {255, 102, 0, 128});  // as stored: inverted
  test::write_cmyk_jpeg(path, 8, 8, ink);
  const Pixels rgb = read_picture(path).rgb;
  ASSERT_EQ(rgb.size(), 192U);
  EXPECT_NEAR(rgb[0], 128, 2);
  EXPECT_NEAR(rgb[1], 51, 2);
  EXPECT_NEAR(rgb[2], 0, 2);
}

TEST_F(JpegFile, WhatIsLargerThanNeededIsDecodedSmaller) {
  test::write_jpeg(path, 6016, 6016, Pixels(std::size_t{3} * 6016 * 6016, 99));
  const Picture picture = read_picture(path);
  EXPECT_EQ(picture.width, 3008);
  EXPECT_EQ(picture.height, 3008);
  EXPECT_THAT(as_input(picture, {1, 2, 2, false}, false, "p"), ElementsAre(99, 99, 99, 99));
}

// 0 1 2 over 3 4 5, one letter a pixel, as Exif's eight orientations show it.
const std::vector<Pixels> kShown = {{0, 1, 2, 3, 4, 5}, {2, 1, 0, 5, 4, 3}, {5, 4, 3, 2, 1, 0},
                                    {3, 4, 5, 0, 1, 2}, {0, 3, 1, 4, 2, 5}, {3, 0, 4, 1, 5, 2},
                                    {5, 2, 4, 1, 3, 0}, {2, 5, 1, 4, 0, 3}};

Pixels threefold(const Pixels& values) {
  Pixels rgb;
  for (const std::uint8_t value : values) rgb.insert(rgb.end(), 3, value);
  return rgb;
}

TEST(Upright, AllEightOrientations) {
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Picture turned = upright({3, 2, threefold({0, 1, 2, 3, 4, 5})}, orientation);
    EXPECT_EQ(turned.rgb, threefold(kShown[static_cast<std::size_t>(orientation - 1)])) << orientation;
    EXPECT_EQ(turned.width, orientation < 5 ? 3 : 2);
    EXPECT_EQ(turned.turned, orientation != 1);
  }
}

TEST_F(JpegFile, IsTurnedUpright) {
  Pixels rgb(16 * 8 * 3, 0);
  std::fill(rgb.begin(), rgb.begin() + 8 * 16 * 3 / 2, 255);  // the upper half is white
  test::write_turned_jpeg(path, 16, 8, rgb, 6);
  const Picture picture = read_picture(path);
  EXPECT_EQ(picture.width, 8);
  EXPECT_EQ(picture.height, 16);
  EXPECT_NEAR(picture.rgb[0], 0, 3);  // after a quarter to the right the white is on the right
  EXPECT_NEAR(picture.rgb[3 * 7], 255, 3);
}

TEST_F(JpegFile, APngIsTurnedUprightToo) {
  test::write_png(path, 3, 2, threefold({0, 1, 2, 3, 4, 5}));
  Pixels chunk = {'e', 'X', 'I', 'f'};
  const Pixels exif = test::exif_data(8);
  chunk.insert(chunk.end(), exif.begin(), exif.end());
  const auto crc = static_cast<std::uint32_t>(crc32(0, chunk.data(), static_cast<uInt>(chunk.size())));
  chunk.insert(chunk.begin(), {0, 0, 0, static_cast<std::uint8_t>(exif.size())});
  for (const int shift : {24, 16, 8, 0}) chunk.push_back(static_cast<std::uint8_t>(crc >> shift));
  Pixels file = bytes();
  file.insert(file.begin() + 33, chunk.begin(), chunk.end());  // after IHDR
  write(file);
  EXPECT_EQ(read_picture(path).rgb, threefold(kShown[7]));
}

TEST(ExifOrientation, IsReadInBothByteOrdersAndNeverBeyondTheEnd) {
  Pixels exif = test::exif_data(6);
  EXPECT_EQ(exif_orientation(exif), 6);
  const Pixels little = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3,
                         0,   1,   0,  0, 0, 3, 0, 0, 0, 0, 0,    0, 0};
  EXPECT_EQ(exif_orientation(little), 3);
  for (std::size_t size = 0; size < exif.size(); ++size)
    EXPECT_THAT((std::vector{exif_orientation(std::span(exif).first(size))}), Each(testing::AnyOf(1, 6)));
  exif[4] = 0xff;  // the directory lies beyond the file
  EXPECT_EQ(exif_orientation(exif), 1);
  EXPECT_EQ(exif_orientation(test::exif_data(9)), 1);
  EXPECT_EQ(exif_orientation(test::exif_data(0)), 1);
}

}  // namespace
}  // namespace bntrain
