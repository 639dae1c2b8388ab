// IDX files of other element types and dimensions, and files that are no IDX.
#include <bit>

#include "data/idx.hpp"
#include "data/idx_files.hpp"

namespace bntrain::test {
namespace {

const Bytes kDoubles[] = {{0x40, 0x69, 0, 0, 0, 0, 0, 0}, {0x3f, 0xe0, 0, 0, 0, 0, 0, 0}};  // 200, 0.5

std::uint32_t bits(float value) {
  return std::bit_cast<std::uint32_t>(value);
}

TEST(IdxTypes, LabelsOfEveryTypeAreRead) {
  const TempFolder folder;
  for (const Bytes& file :
       {words({0x901, 3}) + Bytes{7, 0, 100}, words({0xb01, 3}) + Bytes{0, 7, 0, 0, 0, 100},
        words({0xc01, 3, 7, 0, 100}), words({0xd01, 3, bits(7), bits(0), bits(100)})})
    EXPECT_EQ(read_idx(folder.write("f", file), IdxKind::labels).values, (Bytes{7, 0, 100}));
  EXPECT_EQ(read_idx(folder.write("f", words({0xe01, 1}) + kDoubles[0]), IdxKind::labels).values,
            (Bytes{200}));
}

TEST(IdxTypes, ImagesOfOtherTypesAreReadWhereTheirValuesAreBytes) {
  const TempFolder folder;
  const IdxFile file =
      read_idx(folder.write("f", gzip(words({0xc03, 1, 2, 2, 0, 1, 254, 255}))), IdxKind::images);
  EXPECT_EQ(file.values, (Bytes{0, 1, 254, 255}));
  EXPECT_EQ(file.shape, (Shape{1, 2, 2, false}));
}

struct BadValues {
  std::string name;
  IdxKind kind;
  Bytes contents;
  std::string message;
};

class IdxTypesRefuse : public testing::TestWithParam<BadValues> {};

TEST_P(IdxTypesRefuse, WhatIsNoByte) {
  const TempFolder folder;
  const auto path = folder.write("f", GetParam().contents);
  EXPECT_THAT(error_of([&] { read_idx(path, GetParam().kind); }),
              IsDataError(path.string() + ": byte " + GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Values, IdxTypesRefuse,
    testing::Values(
        BadValues{"LargeLabel", IdxKind::labels, words({0xc01, 2, 3, 256}), "12: the label is 256"},
        BadValues{"NegativeLabel", IdxKind::labels, words({0x901, 2}) + Bytes{3, 0xff}, "9: the label is -1"},
        BadValues{"HalfALabel", IdxKind::labels, words({0xe01, 1}) + kDoubles[1], "8: the label is 0.5"},
        BadValues{"Shares", IdxKind::images, words({0xd03, 1, 1, 2, bits(1), bits(0.25f)}),
                  "20: the file holds 4-byte floats from 0.25 to 1; pixels are whole numbers from 0 to 255"},
        BadValues{"BlackAndWhite", IdxKind::images, words({0xc03, 1, 1, 2, 0, 1}),
                  "16: the file holds 4-byte integers from 0 to 1;"},
        BadValues{"NegativePixels", IdxKind::images, words({0x903, 1, 1, 2}) + Bytes{127, 0x80},
                  "17: the file holds signed bytes from -128 to 127"},
        BadValues{"SixteenBits", IdxKind::images, words({0xb03, 1, 1, 1}) + Bytes{0x7f, 0xff},
                  "16: the file holds 2-byte integers from 32767 to 32767"},
        BadValues{"NotANumber", IdxKind::images, words({0xd03, 1, 1, 2, bits(9), 0x7fc00000}),
                  "20: the file holds 4-byte floats from 9 to 9"},
        BadValues{"FlatImages", IdxKind::images, words({0x802, 2, 9}) + Bytes(18),
                  "0: the magic number is 0x00000802, that of 2 dimensions of unsigned bytes"},
        BadValues{"OneHotLabels", IdxKind::labels, words({0x802, 2, 10}) + Bytes(20), "8: 2x10 labels"},
        BadValues{"NoChannels", IdxKind::images, words({0x804, 2, 4, 4, 4}) + Bytes(128),
                  "4: 2x4x4x4 images"},
        BadValues{"TwoChannels", IdxKind::images, words({0x804, 2, 3, 4, 3}) + Bytes(72),
                  "4: 2x3x4x3 images"}),
    [](const auto& test) { return test.param.name; });

TEST(IdxTypes, ColoursAreTakenFirstOrLast) {
  const TempFolder folder;
  const Bytes planes = {1, 2, 3, 4, 5, 6, /**/ 7, 8, 9, 10, 11, 12},
              pixels = {1, 3, 5, 2, 4, 6, /**/ 7, 9, 11, 8, 10, 12};
  for (const Bytes& file : {words({0x804, 2, 3, 1, 2}) + planes, words({0x804, 2, 1, 2, 3}) + pixels}) {
    const IdxFile images = read_idx(folder.write("f", file), IdxKind::images);
    EXPECT_EQ(images.count(), 2);
    EXPECT_EQ(images.shape, (Shape{3, 1, 2, false}));
    EXPECT_EQ(images.values, planes);
  }
  EXPECT_EQ(read_idx(folder.write("f", words({0x804, 1, 5, 2, 1}) + Bytes(10)), IdxKind::images).shape,
            (Shape{1, 5, 2, false}));
}

TEST(IdxTypes, TheFirstColumnOfQmnistsLabelsIsTheClass) {
  const TempFolder folder;
  std::vector<std::uint32_t> values = {0xc02, 2, 8, 5, 999, 999, 999, 999, 999, 999, 999, 300};
  values.resize(19);
  const auto path = folder.write("f", words(values));
  EXPECT_THAT(error_of([&] { read_idx(path, IdxKind::labels); }), IsDataError("byte 44: the label is 300"));
  values[11] = 4;
  const IdxFile labels = read_idx(folder.write("f", words(values)), IdxKind::labels);
  EXPECT_EQ(labels.count(), 2);
  EXPECT_EQ(labels.values, (Bytes{5, 4}));
}

TEST(IdxTypes, ForeignFilesAreCalledByTheirNames) {
  const TempFolder folder;
  const auto refusal = [&](const Bytes& contents) {
    const auto path = folder.write("f", contents);
    return error_of([&] { read_idx(path, IdxKind::images); });
  };
  EXPECT_THAT(refusal(text("PK\x03\x04") + Bytes(26) + text("x_train.npy") + Bytes(50)),
              IsDataError("this is a NumPy archive (.npz); write it as IDX files: docs/data.md"));
  EXPECT_THAT(refusal(text("PK\x03\x04") + Bytes(60)), IsDataError("this is a ZIP archive; unpack it"));
  EXPECT_THAT(refusal(gzip(gzip(idx_images(1, 2, 2)))), IsDataError("after unpacking this is a gzip file"));
  EXPECT_THAT(refusal(text("version https://git-lfs.github.com/spec/v1\n")), IsDataError("git lfs pull"));
}

}  // namespace
}  // namespace bntrain::test
