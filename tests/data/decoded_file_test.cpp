#include "data/decoded_file.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "data/idx_files.hpp"

namespace bntrain::test {
namespace {

/// Reads to the end in pieces of `step` bytes.
Bytes contents_of(const std::filesystem::path& path, std::size_t step) {
  DecodedFile file(path);
  Bytes contents;
  while (true) {
    Bytes piece(step);
    piece.resize(file.read(piece.data(), step));
    contents = contents + piece;
    if (piece.size() < step) return contents;
  }
}

Bytes some_bytes(std::size_t size) {
  Bytes bytes(size);
  std::uint32_t state = 1;
  for (std::uint8_t& byte : bytes)
    byte = static_cast<std::uint8_t>((state = state * 1664525 + 1013904223) >> 29);
  return bytes;
}

TEST(DecodedFile, ReadsRawAndGzipByContentWhateverTheName) {
  const TempFolder folder;
  const Bytes bytes = some_bytes(1'000'000);  // several of the reader's blocks, also packed
  const auto raw = folder.write("raw.gz", bytes);
  const auto packed = folder.write("packed", gzip(bytes));
  ASSERT_GT(std::filesystem::file_size(packed), 300'000u);
  EXPECT_FALSE(DecodedFile(raw).packed());
  EXPECT_TRUE(DecodedFile(packed).packed());
  for (const std::size_t step : {std::size_t{7777}, std::size_t{1} << 20}) {
    EXPECT_EQ(contents_of(raw, step), bytes);
    EXPECT_EQ(contents_of(packed, step), bytes);
  }
}

TEST(DecodedFile, ReadsTheShortestFiles) {
  const TempFolder folder;
  for (const Bytes& bytes : {Bytes{}, Bytes{0x1f}, Bytes{0x1f, 0x8a}}) {
    EXPECT_EQ(contents_of(folder.write("raw", bytes), 10), bytes);
    EXPECT_EQ(contents_of(folder.write("packed", gzip(bytes)), 10), bytes);
  }
}

TEST(DecodedFile, JoinsTheMembersOfAGzipFile) {
  const TempFolder folder;
  const auto path = folder.write("f", gzip(text("one")) + gzip({}) + gzip(text(" two")));
  EXPECT_EQ(contents_of(path, 5), text("one two"));
}

TEST(DecodedFile, ZerosAfterTheLastMemberArePadding) {
  const TempFolder folder;
  for (const std::size_t zeros : {1, 511, 600'000})  // the last across the reader's blocks
    EXPECT_EQ(contents_of(folder.write("f", gzip(text("one")) + Bytes(zeros)), 5), text("one"));
}

TEST(DecodedFile, NamesTheByteWhereATruncatedGzipBreaksOff) {
  const TempFolder folder;
  const Bytes packed = gzip(some_bytes(300));
  for (std::size_t size = 2; size < packed.size(); ++size) {
    const auto path = folder.write("f.gz", Bytes(packed.begin(), packed.begin() + static_cast<long>(size)));
    const std::string end = std::to_string(size);
    EXPECT_THAT(error_of([&] { contents_of(path, 1000); }),
                IsDataError(path.string() + ": byte " + end + " of " + end + ": the gzip data break off"));
  }
}

TEST(DecodedFile, NeverPassesOffACorruptGzipAsAnotherFile) {
  const TempFolder folder;
  const Bytes contents = some_bytes(300);
  const Bytes packed = gzip(contents);
  int refused = 0;
  for (std::size_t i = 2; i < packed.size(); ++i) {
    Bytes damaged = packed;
    damaged[i] ^= 0x40;
    const auto path = folder.write("f.gz", damaged);
    try {
      EXPECT_EQ(contents_of(path, 1000), contents) << "byte " << i;  // the time stamp or the like
    } catch (const Error& error) {
      EXPECT_THAT(error, IsDataError(path.string() + ": byte "));
      ++refused;
    }
  }
  EXPECT_GE(refused, static_cast<int>(packed.size()) - 10);
}

TEST(DecodedFile, NamesTheChecksumThatIsWrong) {
  const TempFolder folder;
  Bytes packed = gzip(some_bytes(300));
  packed[packed.size() - 8] ^= 1;
  const auto path = folder.write("f.gz", packed);
  EXPECT_THAT(error_of([&] { contents_of(path, 1000); }),
              IsDataError("the gzip data are corrupt (incorrect data check)"));
}

TEST(DecodedFile, RefusesWhatFollowsTheGzipData) {
  const TempFolder folder;
  const Bytes packed = gzip(some_bytes(300));
  const auto path = folder.write("f.gz", packed + text("garbage"));
  const std::string place =
      ": byte " + std::to_string(packed.size()) + " of " + std::to_string(packed.size() + 7);
  EXPECT_THAT(error_of([&] { contents_of(path, 1000); }),
              IsDataError(path.string() + place + ": bytes that are not gzip follow"));
  EXPECT_THAT(error_of([&] {
                contents_of(folder.write("g.gz", packed + Bytes{0, 0, 7}), 1000);
              }),
              IsDataError("bytes that are not gzip follow"));
}

TEST(DecodedFile, RefusesWhatIsNotARegularFile) {
  const TempFolder folder;
  EXPECT_THAT(error_of([&] { DecodedFile(folder.path() / "absent"); }), IsDataError("absent: No such file"));
  EXPECT_THAT(error_of([&] { DecodedFile{folder.path()}; }),
              IsDataError(folder.path().string() + ": not a regular file"));
  const auto pipe = folder.path() / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(error_of([&] { DecodedFile{pipe}; }), IsDataError(pipe.string() + ": not a regular file"));
}

}  // namespace
}  // namespace bntrain::test
