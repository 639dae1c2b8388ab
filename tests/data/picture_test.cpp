#include "data/picture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <fstream>
#include <iterator>

#include "support/error_message.hpp"
#include "support/picture_files.hpp"
#include "support/temporary_folder.hpp"

namespace bntrain {
namespace {

using test::Pixels;
using test::write_jpeg;
using test::write_png;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

const Shape kGrey2{1, 2, 2, false};

class PictureFile : public testing::Test {
 protected:
  TemporaryFolder folder_;
  std::string png = folder_.file("p.png"), jpeg = folder_.file("p.jpg");

  static Pixels bytes_of(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  static void write(const std::string& path, const Pixels& bytes) {
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  static std::string refusal(const std::string& path) {
    const std::string message = error_message(ErrorKind::data, [&] { read_picture(path); });
    EXPECT_THAT(message, HasSubstr(path));
    return message;
  }
  /// A picture with structure, so that damage has something to hit.
  static Pixels pattern(int width, int height) {
    Pixels rgb;
    for (int i = 0; i < width * height * 3; ++i) rgb.push_back(static_cast<std::uint8_t>(i * i % 251));
    return rgb;
  }
  /// What becomes of a file that is cut off at every length, and has one bit of each byte flipped. Anything
  /// but a picture or Error(data) fails the test.
  struct Damage {
    int refused_cuts = 0, refused_flips = 0;
    int other_pictures = 0;
  };
  static Damage damage(const std::string& path) {
    const Pixels whole = bytes_of(path), pixels = read_picture(path).rgb;
    Damage result;
    const auto count_refusal = [&](const Pixels& bytes, int& refusals) {
      write(path, bytes);
      try {
        result.other_pictures += read_picture(path).rgb == pixels ? 0 : 1;
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::data);
        ++refusals;
      }
    };
    for (std::size_t at = 0; at < whole.size(); ++at) {
      count_refusal({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(at)}, result.refused_cuts);
      Pixels bytes = whole;
      bytes[at] ^= static_cast<std::uint8_t>(1 << at % 8);
      count_refusal(bytes, result.refused_flips);
    }
    return result;
  }
};

TEST_F(PictureFile, APngKeepsItsPixels) {
  const Pixels rgb = pattern(5, 3);
  write_png(png, 5, 3, rgb);
  const Picture picture = read_picture(png);
  EXPECT_EQ(picture.width, 5);
  EXPECT_EQ(picture.height, 3);
  EXPECT_EQ(picture.rgb, rgb);
}

TEST_F(PictureFile, AJpegKeepsThemNearly) {
  Pixels rgb;
  for (int i = 0; i < 16 * 8; ++i) rgb.insert(rgb.end(), {200, 100, 50});
  write_jpeg(jpeg, 16, 8, rgb);
  const Picture picture = read_picture(jpeg);
  EXPECT_EQ(picture.width, 16);
  EXPECT_EQ(picture.height, 8);
  ASSERT_EQ(picture.rgb.size(), rgb.size());
  for (std::size_t i = 0; i < rgb.size(); ++i) EXPECT_NEAR(picture.rgb[i], rgb[i], 2);
}

TEST_F(PictureFile, TheContentsTellNotTheName) {
  write_png(jpeg, 1, 1, {1, 2, 3});
  EXPECT_TRUE(looks_like_picture(jpeg));
  EXPECT_THAT(read_picture(jpeg).rgb, ElementsAre(1, 2, 3));
  write(png, {'G', 'I', 'F', '8', '9', 'a'});
  EXPECT_FALSE(looks_like_picture(png));
  EXPECT_THAT(refusal(png), HasSubstr("neither a PNG nor a JPEG"));
  write(png, {});
  EXPECT_FALSE(looks_like_picture(png));
  refusal(png);
}

TEST_F(PictureFile, WhatIsTransparentIsLaidOnWhite) {
  test::write_png_with_alpha(png, 3, 1, {10, 20, 30, 255, /**/ 10, 20, 30, 0, /**/ 0, 100, 255, 51});
  EXPECT_THAT(read_picture(png).rgb, ElementsAre(10, 20, 30, 255, 255, 255, 204, 224, 255));
}

TEST_F(PictureFile, ADamagedPngIsRefusedWhereItsPixelsWouldBeOthers) {
  write_png(png, 9, 7, pattern(9, 7));
  const auto size = static_cast<int>(bytes_of(png).size());
  const Damage found = damage(png);
  EXPECT_EQ(found.other_pictures, 0);        // the chunks have checksums
  EXPECT_GE(found.refused_cuts, size - 16);  // only the mark of the end may be missing
  EXPECT_GE(found.refused_flips, size * 3 / 4);
}

TEST_F(PictureFile, ADamagedJpegIsAPictureOrRefused) {
  write_jpeg(jpeg, 16, 8, pattern(16, 8));
  const auto size = static_cast<int>(bytes_of(jpeg).size());
  const Damage found = damage(jpeg);
  EXPECT_GE(found.refused_cuts, size - 2);  // only the mark of the end may be missing
  EXPECT_GT(found.refused_flips, 50);       // it has no checksums: other coefficients are another picture
}

TEST_F(PictureFile, SizesBeyondTheLimitsAreRefusedBeforeDecoding) {
  write_png(png, 1, 1, {1, 2, 3});
  Pixels bytes = bytes_of(png);
  // IHDR: 8 bytes of signature, 4 of length, 4 of name, then width and height, big-endian, and its checksum.
  for (std::size_t at : {16, 17, 18, 19, 20, 21, 22, 23})
    bytes[at] = at % 4 == 2 ? 0x40 : at == 19 ? 1 : 0;  // 16385 x 16384
  const std::uint32_t crc = static_cast<std::uint32_t>(crc32(0, bytes.data() + 12, 17));
  for (std::size_t i = 0; i < 4; ++i) bytes[29 + i] = static_cast<std::uint8_t>(crc >> (24 - 8 * i));
  write(png, bytes);
  EXPECT_THAT(refusal(png),
              AllOf(HasSubstr("16385 x 16384"), HasSubstr("allowed are 65535 a side and 268435456")));
  for (const std::size_t at : {16, 17, 18, 19, 20, 21, 22, 23})
    bytes[at] = at % 4 == 2 ? 0x20 : 0;  // 8192 x 8192
  const auto small_crc = static_cast<std::uint32_t>(crc32(0, bytes.data() + 12, 17));
  for (std::size_t i = 0; i < 4; ++i) bytes[29 + i] = static_cast<std::uint8_t>(small_crc >> (24 - 8 * i));
  write(png, bytes);
  EXPECT_THAT(refusal(png), AllOf(HasSubstr("8192 x 8192"), HasSubstr("bytes cannot hold")));
  write_jpeg(jpeg, 8, 8, pattern(8, 8));
  bytes = bytes_of(jpeg);
  for (std::size_t i = 0; i + 9 < bytes.size(); ++i)
    if (bytes[i] == 0xff && bytes[i + 1] == 0xc0)  // SOF0: length, precision, height, width
      for (std::size_t at : {5, 7}) bytes[i + at] = 0xff;
  write(jpeg, bytes);
  EXPECT_THAT(refusal(jpeg), HasSubstr("65288 x 65288"));
}

TEST_F(PictureFile, FilesThatCannotBeReadAreNamed) {
  EXPECT_THAT(refusal(folder_.file("missing")), HasSubstr("No such file"));
  EXPECT_THAT(refusal(folder_.path().string()), HasSubstr("folder"));
}

TEST(PictureInput, TheSameSizeKeepsItsBytes) {
  const Picture picture{2, 2, {1, 1, 1, 20, 20, 20, 130, 130, 130, 255, 255, 255}};
  EXPECT_THAT(as_input(picture, kGrey2, false, "p"), ElementsAre(1, 20, 130, 255));
  EXPECT_THAT(as_input(picture, kGrey2, true, "p"), ElementsAre(254, 235, 125, 0));
}

TEST(PictureInput, GreyIsLumaAndThreeChannelsAreRedGreenBlue) {
  const Picture picture{1, 1, {200, 100, 50}};
  EXPECT_THAT(as_input(picture, {1, 1, 1, false}, false, "p"), ElementsAre(124));  // 59.8 + 58.7 + 5.7
  EXPECT_THAT(as_input(picture, {3, 1, 1, false}, false, "p"), ElementsAre(200, 100, 50));
  EXPECT_THAT(as_input({2, 1, {1, 2, 3, 4, 5, 6}}, {3, 1, 2, false}, false, "p"),
              ElementsAre(1, 4, 2, 5, 3, 6));
}

Picture grey(std::int64_t width, std::int64_t height, const Pixels& values) {
  Picture picture{width, height, {}};
  for (const std::uint8_t value : values) picture.rgb.insert(picture.rgb.end(), 3, value);
  return picture;
}

TEST(PictureInput, ResizingTakesMeansOverAreas) {
  // 4 x 4 to 2 x 2: means of four.
  EXPECT_THAT(
      as_input(grey(4, 4, {0, 4, 10, 10, 8, 12, 10, 10, 1, 1, 0, 0, 1, 1, 0, 255}), kGrey2, false, "p"),
      ElementsAre(6, 10, 1, 64));
  // 3 x 3 to 2 x 2: a pixel covers 1.5 x 1.5, whole pixels weigh 1, halves 0.5, the middle 0.25, of 2.25.
  EXPECT_THAT(as_input(grey(3, 3, {90, 0, 0, 0, 0, 0, 0, 0, 9}), kGrey2, false, "p"),
              ElementsAre(40, 0, 0, 4));
  EXPECT_THAT(as_input(grey(3, 3, {0, 0, 0, 0, 90, 0, 0, 0, 0}), kGrey2, false, "p"),
              ElementsAre(10, 10, 10, 10));
  // 1 x 1 to 2 x 2, and 2 x 2 to 3 x 3, whose middle lies on all four.
  EXPECT_THAT(as_input(grey(1, 1, {77}), kGrey2, false, "p"), ElementsAre(77, 77, 77, 77));
  EXPECT_THAT(as_input(grey(2, 2, {0, 100, 200, 100}), {1, 3, 3, false}, false, "p"),
              ElementsAre(0, 50, 100, 100, 100, 100, 200, 150, 100));
}

TEST(PictureInput, RowsAndColumnsAreNotMixedUp) {
  EXPECT_THAT(as_input(grey(11, 10, Pixels(110, 5)), {1, 10, 11, false}, false, "p"), testing::SizeIs(110));
  EXPECT_THAT(as_input(grey(3, 3, {1, 2, 3, 4, 5, 6, 7, 8, 9}), {1, 3, 3, false}, false, "p"),
              ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9));
}

TEST(PictureInput, DistortionIsRefusedBeyondATenth) {
  EXPECT_NO_THROW(as_input(grey(11, 10, Pixels(110, 5)), kGrey2, false, "p"));
  EXPECT_NO_THROW(as_input(grey(10, 11, Pixels(110, 5)), kGrey2, false, "p"));
  for (const auto& [width, height] : {std::pair{112, 100}, {100, 112}})
    EXPECT_THAT(error_message(ErrorKind::data,
                              [&, w = width, h = height] {
                                as_input(grey(w, h, Pixels(11200, 5)), kGrey2, false, "p.png");
                              }),
                AllOf(HasSubstr("p.png"), HasSubstr("distorted"), HasSubstr("2 x 2")));
}

TEST(PictureInput, OtherChannelsAreRefused) {
  EXPECT_THAT(error_message(ErrorKind::data,
                            [] {
                              as_input(grey(1, 1, {5}), {2, 1, 1, false}, false, "p.png");
                            }),
              AllOf(HasSubstr("p.png"), HasSubstr("(2, 1, 1)"), HasSubstr("1 or 3 channels")));
}

}  // namespace
}  // namespace bntrain
