// The elements of IDX files that are no unsigned bytes.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace bntrain {

/// The third byte of an IDX file.
struct IdxElement {
  std::uint8_t code = 0x08;
  std::int64_t bytes = 1;
  std::string_view name = "unsigned bytes";

  bool is_byte() const { return code == 0x08; }
};

/// nullptr for a code that the format does not know.
const IdxElement* find_idx_element(std::uint8_t code);

/// Element `index` of big-endian data.
double idx_value(const IdxElement& element, std::span<const std::uint8_t> data, std::int64_t index);

/// A whole number from 0 to 255.
bool fits_byte(double value);

}  // namespace bntrain
