#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>
#include <stdexcept>

#include "formats/safetensors.hpp"
#include "support/error_message.hpp"
#include "support/temporary_folder.hpp"

namespace bntrain {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class Safetensors : public testing::Test {
 protected:
  std::filesystem::path path() const { return folder_ / "model.safetensors"; }

  void write_bytes(const std::string& bytes) const { std::ofstream(path(), std::ios::binary) << bytes; }

  std::string bytes() const {
    std::ifstream stream(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  /// The message for a file with this header and so many zero bytes behind it.
  std::string refusal(const std::string& header, std::size_t data_bytes) const {
    std::string length;
    for (int byte = 0; byte < 8; ++byte) length += static_cast<char>(header.size() >> (8 * byte) & 0xff);
    write_bytes(length + header + std::string(data_bytes, '\0'));
    return refusal();
  }
  std::string refusal() const {
    const std::string message = error_message(ErrorKind::data, [&] { read_safetensors(path()); });
    EXPECT_THAT(message, HasSubstr(path().string()));
    return message;
  }

  TemporaryFolder temporary_;
  std::filesystem::path folder_ = temporary_.path();
};

TensorFile sample() {
  TensorFile file;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  file.state.tensors.push_back({"b", {2, 3}, std::vector<float>{1, -0.0f, 1e-40f, nan, INFINITY, 3.25f}});
  file.state.tensors.push_back(
      {"a", {}, std::vector<std::int64_t>{std::numeric_limits<std::int64_t>::min()}});
  file.state.tensors.push_back({"nothing", {0, 4}, std::vector<float>{}});
  file.state.tensors.push_back({"c \"\u00e9\\", {1}, std::vector<float>{7}});
  file.metadata = {{"format", "pt"}, {"note", "line\nbreak"}};
  return file;
}

std::vector<std::uint32_t> bits(const std::vector<float>& values) {
  std::vector<std::uint32_t> result;
  for (const float value : values) result.push_back(std::bit_cast<std::uint32_t>(value));
  return result;
}

TEST_F(Safetensors, AZeroByteDoesNotEndTheHeader) {
  const std::string header = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  EXPECT_THAT(refusal(header + std::string(" \0 ", 3), 4), HasSubstr("byte 63"));
}

TEST_F(Safetensors, WhatIsWrittenIsRead) {
  const TensorFile written = sample();
  write_safetensors(path(), written);
  const TensorFile read = read_safetensors(path());
  EXPECT_EQ(read.metadata, written.metadata);
  ASSERT_EQ(read.state.tensors.size(), written.state.tensors.size());
  for (std::size_t i = 0; i < read.state.tensors.size(); ++i) {
    const Tensor &now = read.state.tensors[i], &before = written.state.tensors[i];
    EXPECT_EQ(now.name, before.name);
    EXPECT_EQ(now.shape, before.shape);
    ASSERT_EQ(now.values.index(), before.values.index());
    if (std::holds_alternative<std::vector<float>>(now.values)) {
      EXPECT_EQ(bits(now.floats()), bits(before.floats()));
    } else {
      EXPECT_EQ(now.values, before.values);
    }
  }
}

TEST_F(Safetensors, TheBytesAreThoseOfTheFormat) {
  write_safetensors(path(), {{{{"w", {2}, std::vector<float>{1, 2}}}}, {}});
  std::string header = R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  header.append((8 - header.size() % 8) % 8, ' ');
  EXPECT_EQ(bytes(), std::string{static_cast<char>(header.size())} + std::string(7, '\0') + header +
                         std::string("\0\0\x80\x3f\0\0\0\x40", 8));
}

TEST_F(Safetensors, AnEmptyFileOfTensorsIsFine) {
  write_safetensors(path(), {});
  EXPECT_TRUE(read_safetensors(path()).state.tensors.empty());
}

TEST_F(Safetensors, EveryTruncationIsRefused) {
  write_safetensors(path(), sample());
  const std::string whole = bytes();
  for (std::size_t length = 0; length < whole.size(); ++length) {
    write_bytes(whole.substr(0, length));
    EXPECT_NE(refusal(), "") << length;
  }
  write_bytes(whole + '\0');
  EXPECT_THAT(refusal(), HasSubstr("1 bytes at the end of the file belong to no tensor"));
}

TEST_F(Safetensors, EveryDamagedHeaderByteIsReadOrRefusedButNeverCrashes) {
  write_safetensors(path(), sample());
  const std::string whole = bytes();
  int refused = 0;
  for (std::size_t place = 0; place < whole.size() - 36; ++place) {
    for (const int flip : {0x01, 0x10, 0x80}) {
      std::string damaged = whole;
      damaged[place] = static_cast<char>(damaged[place] ^ flip);
      write_bytes(damaged);
      try {
        read_safetensors(path());
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::data);
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 500);
}

TEST_F(Safetensors, HeaderLengthIsCheckedBeforeAllocating) {
  write_bytes(std::string(7, '\xff') + "\x7f{}");
  EXPECT_THAT(refusal(), HasSubstr("bytes 0 to 7 promise a header of 9223372036854775807 bytes"));
  write_bytes(std::string(8, '\xff') + "{}");
  EXPECT_THAT(refusal(), HasSubstr("18446744073709551615"));
  write_bytes("abc");
  EXPECT_THAT(refusal(), HasSubstr("it has 3 bytes"));

  // 100,000,001 bytes, present in a sparse file
  write_bytes(std::string("\x01\xe1\xf5\x05\0\0\0\0{", 9));
  std::filesystem::resize_file(path(), 100'000'009);
  EXPECT_THAT(refusal(), HasSubstr("100000000 are allowed"));
}

TEST_F(Safetensors, HeaderMustBeJson) {
  EXPECT_THAT(refusal("", 0), HasSubstr("byte 8"));
  EXPECT_THAT(refusal("[1]", 0), HasSubstr("must be a JSON object"));
  EXPECT_THAT(refusal("<html>", 0), HasSubstr("must be a JSON object"));
  EXPECT_THAT(refusal("{\"a\":}", 0), AllOf(HasSubstr("byte 14"), HasSubstr("not valid JSON")));
  EXPECT_THAT(refusal("{\"a\xff\":{}}", 0), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal("{\"a\":1e999}", 0), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal("{} {}", 0), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal("{\"a\":{\"shape\":[[1]]}}", 0), HasSubstr("nested too deeply"));
  EXPECT_THAT(refusal("{\"a\":" + std::string(100'000, '['), 0), HasSubstr("nested too deeply"));
}

TEST_F(Safetensors, NamesAppearOnce) {
  EXPECT_THAT(refusal(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                      R"("w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                      8),
              HasSubstr("the name 'w' appears twice"));
  EXPECT_THAT(refusal(R"({"w":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}})", 4),
              HasSubstr("the name 'shape' appears twice"));
}

TEST_F(Safetensors, NullIsNoMetadata) {
  const std::string header =
      R"({"__metadata__":null,"w":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}  )";
  write_bytes(static_cast<char>(header.size()) + std::string(7, '\0') + header);
  const TensorFile file = read_safetensors(path());
  EXPECT_TRUE(file.metadata.empty());
  EXPECT_EQ(file.state.tensors.at(0).size(), 0);
}

TEST_F(Safetensors, MetadataHoldsStrings) {
  EXPECT_THAT(refusal(R"({"__metadata__":{"epoch":3}})", 0),
              HasSubstr("the value of 'epoch' must be a string"));
  EXPECT_THAT(refusal(R"({"__metadata__":"x"})", 0), HasSubstr("__metadata__ must be an object"));
}

struct BadEntry {
  const char* entry;
  const char* message;
};

class SafetensorsEntry : public Safetensors, public testing::WithParamInterface<BadEntry> {};

TEST_P(SafetensorsEntry, IsRefused) {
  // 8 bytes of data
  EXPECT_THAT(refusal(std::string("{\"w\":") + GetParam().entry + "}", 8),
              AllOf(HasSubstr("tensor 'w'"), HasSubstr(GetParam().message)));
}

INSTANTIATE_TEST_SUITE_P(
    Damage, SafetensorsEntry,
    testing::Values(
        BadEntry{R"([])", "must be an object"},
        BadEntry{R"({"shape":[2],"data_offsets":[0,8]})", "dtype is missing"},
        BadEntry{R"({"dtype":3,"shape":[2],"data_offsets":[0,8]})", "dtype is missing"},
        BadEntry{R"({"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]})", "dtype F8_E4M3 is not supported"},
        BadEntry{R"({"dtype":"C64","shape":[1],"data_offsets":[0,8]})", "allowed: F32, F16, BF16, F64, I64"},
        BadEntry{R"({"dtype":"BOOL","shape":[8],"data_offsets":[0,8]})", "model.float().state_dict()"},
        BadEntry{R"({"dtype":"F16","shape":[3],"data_offsets":[0,8]})", "its shape takes 6 bytes"},
        BadEntry{R"({"dtype":"F32","data_offsets":[0,8]})", "shape is missing"},
        BadEntry{R"({"dtype":"F32","shape":2,"data_offsets":[0,8]})", "shape is missing"},
        BadEntry{R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})", "shape must hold integers from 0"},
        BadEntry{R"({"dtype":"F32","shape":[2.0],"data_offsets":[0,8]})", "shape must hold integers from 0"},
        BadEntry{R"({"dtype":"F32","shape":["2"],"data_offsets":[0,8]})", "shape must hold integers from 0"},
        BadEntry{R"({"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,8]})",
                 "shape must hold integers"},
        BadEntry{R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]})", "overflows"},
        BadEntry{R"({"dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4]})", "overflows"},
        BadEntry{R"({"dtype":"F32","shape":[2]})", "data_offsets is missing"},
        BadEntry{R"({"dtype":"F32","shape":[2],"data_offsets":[0]})", "data_offsets is missing"},
        BadEntry{R"({"dtype":"F32","shape":[2],"data_offsets":[-8,0]})",
                 "data_offsets must hold integers from 0"},
        BadEntry{R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})", "data_offsets promise bytes 8 to 0"},
        BadEntry{R"({"dtype":"F32","shape":[3],"data_offsets":[0,12]})", "the file holds 8 bytes"},
        BadEntry{R"({"dtype":"F32","shape":[1],"data_offsets":[0,8]})", "its shape takes 4 bytes"},
        BadEntry{R"({"dtype":"I64","shape":[2],"data_offsets":[0,8]})", "its shape takes 16 bytes"},
        BadEntry{R"({"dtype":"F32","shape":[1],"data_offsets":[4,8]})", "leaves a gap at byte 0"},
        BadEntry{R"({"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1})", "unknown key 'x'"},
        BadEntry{R"({"dtype":"F32","shape":[1],"data_offsets":[4,8]},)"
                 R"("v":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})",
                 "overlaps another tensor at byte 4"}));

TEST_F(Safetensors, UnreadableFiles) {
  EXPECT_THAT(refusal(), HasSubstr("No such file or directory"));
  EXPECT_THAT(error_message(ErrorKind::data, [&] { read_safetensors(folder_); }), HasSubstr("is a folder"));
}

TEST_F(Safetensors, AFailedWriteNamesTheReasonAndLeavesNothing) {
  const std::filesystem::path missing = folder_ / "missing" / "model.safetensors";
  EXPECT_THAT(error_message(ErrorKind::data, [&] { write_safetensors(missing, sample()); }),
              AllOf(HasSubstr(missing.string()), HasSubstr("No such file or directory")));
  EXPECT_THAT(error_message(ErrorKind::data, [&] { write_safetensors(folder_, sample()); }),
              HasSubstr("is a folder"));
  EXPECT_THAT(error_message(ErrorKind::data, [&] { write_safetensors("/dev/null", sample()); }),
              HasSubstr("name a regular file"));
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(Safetensors, MetadataThatAreNotUtf8AreReplaced) {
  TensorFile file = sample();
  file.metadata["note"] = "d\xe9 \xc3\xa9";
  write_safetensors(path(), file);
  EXPECT_EQ(read_safetensors(path()).metadata.at("note"), "d\xef\xbf\xbd \xc3\xa9");
}

TEST_F(Safetensors, WritingReplacesTheOldFileAndLeavesNoOther) {
  write_bytes("old");
  write_safetensors(path(), sample());
  EXPECT_EQ(read_safetensors(path()).state.tensors.size(), 4u);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(Safetensors, BrokenPreconditionsOfTheWriter) {
  const Tensor tensor{"w", {1}, std::vector<float>{1}};
  EXPECT_THROW(write_safetensors(path(), {{{tensor, tensor}}, {}}), std::logic_error);
  EXPECT_THROW(write_safetensors(path(), {{{{"w", {2}, std::vector<float>{1}}}}, {}}), std::logic_error);
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

}  // namespace
}  // namespace bntrain
