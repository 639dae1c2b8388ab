#include "data/idx_values.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

namespace bntrain {
namespace {

constexpr std::array<IdxElement, 6> elements = {{{0x08, 1, "unsigned bytes"},
                                                 {0x09, 1, "signed bytes"},
                                                 {0x0b, 2, "2-byte integers"},
                                                 {0x0c, 4, "4-byte integers"},
                                                 {0x0d, 4, "4-byte floats"},
                                                 {0x0e, 8, "8-byte floats"}}};

}  // namespace

const IdxElement* find_idx_element(std::uint8_t code) {
  const auto found = std::ranges::find(elements, code, &IdxElement::code);
  return found == elements.end() ? nullptr : &*found;
}

double idx_value(const IdxElement& element, std::span<const std::uint8_t> data, std::int64_t index) {
  std::uint64_t bits = 0;
  for (const std::uint8_t byte :
       data.subspan(static_cast<std::size_t>(index * element.bytes), static_cast<std::size_t>(element.bytes)))
    bits = bits << 8 | byte;
  switch (element.code) {
    case 0x09:
      return static_cast<std::int8_t>(bits);
    case 0x0b:
      return static_cast<std::int16_t>(bits);
    case 0x0c:
      return static_cast<std::int32_t>(bits);
    case 0x0d:
      return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    case 0x0e:
      return std::bit_cast<double>(bits);
    default:
      return static_cast<double>(bits);
  }
}

bool fits_byte(double value) {
  return value >= 0 && value <= 255 && value == std::floor(value);
}

}  // namespace bntrain
