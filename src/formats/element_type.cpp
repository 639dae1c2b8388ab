#include "formats/element_type.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

namespace bntrain {
namespace {

struct Half {  // IEEE 754 binary16
  std::uint16_t bits;
};
struct Bfloat {
  std::uint16_t bits;
};

float to_float(Half half) {
  const std::uint32_t sign = (half.bits & 0x8000u) << 16, exponent = half.bits >> 10 & 0x1fu,
                      mantissa = half.bits & 0x3ffu;
  if (exponent == 0) {  // zero, and numbers with fewer bits
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t wide = exponent == 0x1f ? 0xffu : exponent + (127 - 15);
  return std::bit_cast<float>(sign | wide << 23 | mantissa << 13);
}
float to_float(Bfloat brain) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(brain.bits) << 16);
}
float to_float(float value) {
  return value;
}

template <class Stored, class Value, class Convert>
DecodedElements decode_with(const std::string& bytes, const Convert& convert) {
  DecodedElements decoded;
  std::vector<Value> values(bytes.size() / sizeof(Stored));
  for (std::size_t i = 0; i < values.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, bytes.data() + i * sizeof(Stored), sizeof(Stored));
    values[i] = convert(stored, decoded);
  }
  decoded.values = std::move(values);
  return decoded;
}

template <class Stored>
DecodedElements decode_exact(const std::string& bytes) {
  return decode_with<Stored, float>(bytes, [](Stored stored, DecodedElements&) { return to_float(stored); });
}

DecodedElements decode_double(const std::string& bytes) {
  return decode_with<double, float>(bytes, [](double stored, DecodedElements& decoded) {
    // A conversion that overflows is undefined, and rounds to the largest float32 up to half a unit beyond.
    constexpr double first_too_large = 0x1.ffffffp127;
    if (std::isfinite(stored) && std::abs(stored) >= first_too_large) {
      decoded.too_large = stored;
      return 0.0f;
    }
    const auto value = static_cast<float>(stored);
    decoded.rounded |= static_cast<double>(value) != stored && !std::isnan(stored);
    return value;
  });
}

template <class Stored>
DecodedElements decode_integer(const std::string& bytes) {
  return decode_with<Stored, std::int64_t>(bytes, [](Stored stored, DecodedElements& decoded) {
    if (std::cmp_greater(stored, std::numeric_limits<std::int64_t>::max()))
      decoded.too_large = static_cast<double>(stored);
    return static_cast<std::int64_t>(stored);
  });
}

constexpr ElementType types[] = {
    {"F32", 4, decode_exact<float>},           {"F16", 2, decode_exact<Half>},
    {"BF16", 2, decode_exact<Bfloat>},         {"F64", 8, decode_double},
    {"I64", 8, decode_integer<std::int64_t>},  {"I32", 4, decode_integer<std::int32_t>},
    {"I16", 2, decode_integer<std::int16_t>},  {"I8", 1, decode_integer<std::int8_t>},
    {"U64", 8, decode_integer<std::uint64_t>}, {"U32", 4, decode_integer<std::uint32_t>},
    {"U16", 2, decode_integer<std::uint16_t>}, {"U8", 1, decode_integer<std::uint8_t>}};

}  // namespace

const ElementType* find_element_type(std::string_view name) {
  const auto found = std::ranges::find(types, name, &ElementType::name);
  return found == std::end(types) ? nullptr : found;
}

std::string element_type_names() {
  std::string names;
  for (const ElementType& type : types) names += (names.empty() ? "" : ", ") + std::string(type.name);
  return names;
}

}  // namespace bntrain
