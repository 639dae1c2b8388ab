#include "data/idx.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <utility>

#include "data/idx_files.hpp"

namespace bntrain::test {
namespace {

TEST(Idx, ReadsImagesAndLabels) {
  const TempFolder folder;
  const IdxFile images = read_idx(folder.write("images", idx_images(3, 2, 5)), IdxKind::images);
  EXPECT_EQ(images.sizes, (std::vector<std::int64_t>{3, 2, 5}));
  EXPECT_EQ(images.values.size(), 30u);
  EXPECT_EQ(images.values[29], 29);
  EXPECT_FALSE(images.packed);
  const IdxFile labels = read_idx(folder.write("labels", gzip(idx_labels({7, 0, 255}))), IdxKind::labels);
  EXPECT_EQ(labels.sizes, (std::vector<std::int64_t>{3}));
  EXPECT_EQ(labels.values, (Bytes{7, 0, 255}));
  EXPECT_TRUE(labels.packed);
}

TEST(Idx, DigestsTheUnpackedContents) {
  const TempFolder folder;
  const Bytes bytes = idx_labels({1, 2, 3});  // printf '\0\0\10\1\0\0\0\3\1\2\3' | sha256sum
  const std::string expected = "398a8a7fbd9531f1d9aa2ae368533e137cb53c202c3665f25affcf1ca88844ab";
  EXPECT_EQ(read_idx(folder.write("raw", bytes), IdxKind::labels).sha256, expected);
  EXPECT_EQ(read_idx(folder.write("packed", gzip(bytes)), IdxKind::labels).sha256, expected);
}

TEST(Idx, ReadsMoreThanTheFirstBlockOfMemory) {
  const TempFolder folder;
  const Bytes bytes = idx_images(70, 1024, 1024);
  const IdxFile images = read_idx(folder.write("images", gzip(bytes)), IdxKind::images);
  EXPECT_TRUE(std::equal(images.values.begin(), images.values.end(), bytes.begin() + 16, bytes.end()));
}

TEST(Idx, NamesTheByteOfAValueAndOfASize) {
  const TempFolder folder;
  const auto path = folder.write("f", idx_images(3, 2, 5));
  const IdxFile raw = read_idx(path, IdxKind::images);
  EXPECT_EQ(raw.value_location(3), path.string() + ": byte 19");
  EXPECT_EQ(raw.size_location(2), path.string() + ": byte 12");
  folder.write("f", gzip(idx_labels({1})));
  EXPECT_EQ(read_idx(path, IdxKind::labels).value_location(0), path.string() + ": byte 8 after unpacking");
}

struct BadIdx {
  std::string name;
  IdxKind kind;
  Bytes contents;
  std::string byte;
  std::string problem;
};

class IdxRefuses : public testing::TestWithParam<BadIdx> {};

TEST_P(IdxRefuses, RawAndPacked) {
  const BadIdx& bad = GetParam();
  const TempFolder folder;
  const auto raw = folder.write("raw", bad.contents);
  EXPECT_THAT(error_of([&] { read_idx(raw, bad.kind); }),
              IsDataError(raw.string() + ": byte " + bad.byte + ": "));
  EXPECT_THAT(error_of([&] { read_idx(raw, bad.kind); }), IsDataError(bad.problem));
  const auto packed = folder.write("packed", gzip(bad.contents));
  EXPECT_THAT(error_of([&] { read_idx(packed, bad.kind); }),
              IsDataError(packed.string() + ": byte " + bad.byte + " after unpacking: "));
  EXPECT_THAT(error_of([&] { read_idx(packed, bad.kind); }), IsDataError(bad.problem));
}

INSTANTIATE_TEST_SUITE_P(
    Contents, IdxRefuses,
    testing::Values(
        BadIdx{"Nothing", IdxKind::images, {}, "0", "the file ends inside the IDX header of 16 bytes"},
        BadIdx{"HalfAMagicNumber", IdxKind::labels, {0, 0}, "2", "ends inside the IDX header of 8 bytes"},
        BadIdx{"HalfAHeader", IdxKind::images, words({0x803, 5, 28}), "12", "ends inside the IDX header"},
        BadIdx{"WebPage", IdxKind::images, text("<!DOCTYPE html><title>404</title>"), "0", "web page"},
        BadIdx{"WebPageAfterSpace", IdxKind::labels, text("\xef\xbb\xbf\r\n <html>"), "0", "web page"},
        BadIdx{"ShortWebPage", IdxKind::images, text("<p>"), "0", "web page"},
        BadIdx{"LabelsAsImages", IdxKind::images, idx_labels(Bytes(20)), "0",
               "the magic number is 0x00000801, that of IDX labels; expected 0x00000803"},
        BadIdx{"ImagesAsLabels", IdxKind::labels, idx_images(2, 3, 3), "0",
               "the magic number is 0x00000803, that of IDX images; expected 0x00000801"},
        BadIdx{"UnknownType", IdxKind::images, words({0xa03, 1, 1, 1, 0}), "0",
               "the magic number is 0x00000a03; expected 0x00000803"},
        BadIdx{"LittleEndian",
               IdxKind::labels,
               {1, 8, 0, 0, 1, 0, 0, 0, 0},
               "0",
               "is 0x01080000, one in little-endian order, and IDX is big-endian"},
        BadIdx{"NoImages", IdxKind::images, words({0x803, 0, 28, 28}), "4", "the set is empty: 0 images"},
        BadIdx{"NoLabels", IdxKind::labels, words({0x801, 0}), "4", "the set is empty: 0 labels"},
        BadIdx{"NoHeight", IdxKind::images, words({0x803, 1, 0, 28}), "8",
               "the image height is 0; allowed is 1 to 4096"},
        BadIdx{"NoWidth", IdxKind::images, words({0x803, 1, 28, 0}), "12",
               "the image width is 0; allowed is 1 to 4096"},
        BadIdx{"GiantHeight", IdxKind::images, words({0x803, 1, 4097, 1}) + Bytes(4097), "8",
               "the image height is 4097"},
        BadIdx{"GiantWidth", IdxKind::images, words({0x803, 1, 1, 0xffffffff}), "12",
               "the image width is 4294967295"},
        BadIdx{"TooManyImages", IdxKind::images, words({0x803, 10'000'001, 1, 1}), "4",
               "promises 10000001 images; allowed are 1 to 10000000"},
        BadIdx{"TrailingByte", IdxKind::labels, idx_labels({1, 2, 3}) + Bytes{0}, "11",
               "the file continues here, but the header promises 3 labels (11 bytes with the header)"},
        BadIdx{"TrailingBytes", IdxKind::images, idx_images(2, 3, 4) + Bytes(1000), "40",
               "the file continues here, but the header promises 2x3x4 images (40 bytes with the header)"}),
    [](const auto& test) { return test.param.name; });

TEST(Idx, RefusesAPromiseThatTheFileCannotHold) {
  const TempFolder folder;
  // Without the check these would ask for 160 terabytes and 3.9 gigabytes of memory.
  for (const auto& [header, promised] :
       {std::pair{words({0x803, 10'000'000, 4096, 4096}), "10000000x4096x4096 images (167772160000016 bytes"},
        std::pair{words({0x803, 250, 4000, 4000}), "250x4000x4000 images (4000000016 bytes"}}) {
    const auto raw = folder.write("raw", header + Bytes(100));
    EXPECT_THAT(error_of([&] { read_idx(raw, IdxKind::images); }), IsDataError(raw.string() + ": byte 4: "));
    EXPECT_THAT(error_of([&] { read_idx(raw, IdxKind::images); }), IsDataError(promised));
    EXPECT_THAT(error_of([&] { read_idx(raw, IdxKind::images); }),
                IsDataError("the file has only 116 bytes"));
    const auto packed = folder.write("packed", gzip(header + Bytes(100)));
    EXPECT_THAT(error_of([&] { read_idx(packed, IdxKind::images); }),
                IsDataError(packed.string() + ": byte 4 after unpacking: the header promises " + promised));
    EXPECT_THAT(error_of([&] { read_idx(packed, IdxKind::images); }), IsDataError("cannot hold them"));
  }
}

/// The most memory that this process has had, in bytes.
std::int64_t peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return std::int64_t{usage.ru_maxrss} * 1024;
}

TEST(Idx, TakesMemoryOnlyForWhatIsThere) {
  const TempFolder folder;
  Bytes noise(5'000'000);  // hardly compressible: deflate might well unpack so large a file to 4 GB
  std::uint32_t state = 1;
  for (std::uint8_t& byte : noise)
    byte = static_cast<std::uint8_t>((state = state * 1664525 + 1013904223) >> 24);
  const auto path = folder.write("f.gz", gzip(words({0x803, 250, 4000, 4000}) + noise));
  const std::int64_t before = peak_memory();
  EXPECT_THAT(error_of([&] { read_idx(path, IdxKind::images); }),
              IsDataError(": byte 5000016 after unpacking: the file ends here"));
  EXPECT_LT(peak_memory() - before, std::int64_t{1} << 30);
}

TEST(Idx, RefusesASetThatIsTooLargeForMemory) {
  const TempFolder folder;
  const auto path = folder.write("f", words({0x803, 257, 4096, 4096}));
  std::filesystem::resize_file(path, 16 + std::uintmax_t{257} * 4096 * 4096);  // takes no room on disk
  EXPECT_THAT(error_of([&] { read_idx(path, IdxKind::images); }),
              IsDataError(path.string() + ": byte 4: the header promises 257x4096x4096 images"));
  EXPECT_THAT(error_of([&] { read_idx(path, IdxKind::images); }),
              IsDataError("at most 4294967296 can be loaded"));
}

TEST(Idx, NamesTheByteWhereUnpackedContentsEndTooEarly) {
  const TempFolder folder;
  Bytes bytes = idx_images(4, 5, 5);
  bytes.pop_back();
  const auto path = folder.write("f.gz", gzip(bytes));
  EXPECT_THAT(
      error_of([&] { read_idx(path, IdxKind::images); }),
      IsDataError(path.string() + ": byte 115 after unpacking: the file ends here, but the header promises "
                                  "4x5x5 images (116 bytes with the header)"));
}

TEST(Idx, RefusesEveryTruncation) {
  const TempFolder folder;
  for (const Bytes& whole : {idx_images(3, 4, 5), gzip(idx_images(3, 4, 5))}) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const auto path = folder.write("f", Bytes(whole.begin(), whole.begin() + static_cast<long>(size)));
      EXPECT_THAT(error_of([&] { read_idx(path, IdxKind::images); }), IsDataError(path.string() + ": byte "))
          << "cut to " << size;
    }
  }
}

}  // namespace
}  // namespace bntrain::test
