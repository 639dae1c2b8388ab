// Elements of other types than float32 and int64, as safetensors files hold them.
#include "formats/element_type.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "formats/safetensors.hpp"
#include "support/error_message.hpp"
#include "support/raw_safetensors.hpp"
#include "support/temporary_folder.hpp"

namespace bntrain {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class ElementTypes : public testing::Test {
 protected:
  TensorFile read(const std::string& dtype, std::int64_t count, const std::string& bytes) const {
    write_raw_safetensors(path_, {{"w", dtype, {count}, bytes}});
    return read_safetensors(path_);
  }
  template <class Value>
  std::vector<std::int64_t> integers(const std::string& dtype, const std::vector<Value>& values) const {
    const TensorFile file = read(dtype, static_cast<std::int64_t>(values.size()), bytes_of(values));
    return std::get<std::vector<std::int64_t>>(file.state.tensors.at(0).values);
  }

  TemporaryFolder folder_;
  std::string path_ = folder_.file("m.safetensors");
};

TEST_F(ElementTypes, HalfPrecisionIsExact) {
  // 1, -2, the smallest number, the largest with few bits, the largest, both zeros, both infinities
  const std::vector<std::uint16_t> bits{0x3c00, 0xc000, 0x0001, 0x03ff, 0x7bff,
                                        0x0000, 0x8000, 0x7c00, 0xfc00};
  const TensorFile file = read("F16", 9, bytes_of(bits));
  const std::vector<float>& values = file.state.tensors.at(0).floats();
  EXPECT_THAT(values, ElementsAre(1, -2, 0x1p-24f, 0x1.ff8p-15f, 65504, 0, 0, kInfinity, -kInfinity));
  EXPECT_FALSE(std::signbit(values[5]));
  EXPECT_TRUE(std::signbit(values[6]));
  ASSERT_EQ(file.remarks.size(), 1u);
  EXPECT_THAT(file.remarks[0].text, AllOf(HasSubstr(path_), HasSubstr("16-bit"), HasSubstr("w")));
  EXPECT_FALSE(file.remarks[0].warning);
  EXPECT_TRUE(
      std::isnan(read("F16", 1, bytes_of(std::vector<std::uint16_t>{0x7e01})).state.tensors[0].floats()[0]));
}

TEST_F(ElementTypes, BrainFloatsAreTheUpperHalves) {
  const TensorFile file = read("BF16", 3, bytes_of(std::vector<std::uint16_t>{0x3f80, 0xc049, 0x0001}));
  EXPECT_THAT(file.state.tensors.at(0).floats(),
              ElementsAre(1, std::bit_cast<float>(0xc0490000u), std::bit_cast<float>(0x00010000u)));
  EXPECT_EQ(file.remarks.size(), 1u);
}

TEST_F(ElementTypes, DoublesAreRoundedWithAWord) {
  const TensorFile exact = read("F64", 3, bytes_of(std::vector<double>{1.5, -0x1p-149, INFINITY}));
  EXPECT_THAT(exact.state.tensors.at(0).floats(), ElementsAre(1.5f, -0x1p-149f, kInfinity));
  EXPECT_TRUE(exact.remarks.empty());
  const TensorFile rounded = read("F64", 2, bytes_of(std::vector<double>{0.1, 0x1.fffffefffffffp127}));
  EXPECT_THAT(rounded.state.tensors.at(0).floats(), ElementsAre(0.1f, std::numeric_limits<float>::max()));
  ASSERT_EQ(rounded.remarks.size(), 1u);
  EXPECT_TRUE(rounded.remarks[0].warning);
  EXPECT_THAT(rounded.remarks[0].text, HasSubstr("F64 elements are rounded to float32: w"));
}

TEST_F(ElementTypes, WhatWouldBecomeInfiniteIsRefused) {
  for (const double large : {1e39, -1e300, 0x1.ffffffp127}) {
    EXPECT_THAT(error_message(ErrorKind::data, [&] { read("F64", 1, bytes_of(std::vector<double>{large})); }),
                AllOf(HasSubstr("tensor 'w'"), HasSubstr("F64"), HasSubstr("too large")));
  }
}

TEST_F(ElementTypes, EveryIntegerTypeIsRead) {
  EXPECT_THAT(integers<std::int64_t>("I64", {-1, 7}), ElementsAre(-1, 7));
  EXPECT_THAT(integers<std::int32_t>("I32", {-1, 7}), ElementsAre(-1, 7));
  EXPECT_THAT(integers<std::int16_t>("I16", {-1, 7}), ElementsAre(-1, 7));
  EXPECT_THAT(integers<std::int8_t>("I8", {-1, 7}), ElementsAre(-1, 7));
  EXPECT_THAT(integers<std::uint64_t>("U64", {1, 7}), ElementsAre(1, 7));
  EXPECT_THAT(integers<std::uint32_t>("U32", {0xffffffffu}), ElementsAre(0xffffffffLL));
  EXPECT_THAT(integers<std::uint16_t>("U16", {0xffff}), ElementsAre(0xffff));
  EXPECT_THAT(integers<std::uint8_t>("U8", {0xff}), ElementsAre(0xff));
  EXPECT_THAT(
      error_message(ErrorKind::data, [&] { integers<std::uint64_t>("U64", {std::uint64_t{1} << 63}); }),
      HasSubstr("too large"));
}

}  // namespace
}  // namespace bntrain
