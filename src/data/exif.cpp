#include "data/exif.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "bntrain/error.hpp"

namespace bntrain {
namespace {

/// Unsigned numbers of either byte order; 0 beyond the end.
class TiffReader {
 public:
  explicit TiffReader(std::span<const std::uint8_t> bytes)
      : bytes_(bytes), little_(bytes.size() >= 4 && bytes[0] == 'I' && bytes[1] == 'I') {}

  bool is_tiff() const {
    return bytes_.size() >= 8 && bytes_[0] == bytes_[1] && (little_ || bytes_[0] == 'M') &&
           number(2, 2) == 42;
  }

  std::size_t number(std::size_t at, std::size_t count) const {
    std::size_t value = 0;
    if (at + count > bytes_.size()) return 0;
    for (std::size_t i = 0; i < count; ++i)
      value = value << 8 | bytes_[little_ ? at + count - 1 - i : at + i];
    return value;
  }

 private:
  std::span<const std::uint8_t> bytes_;
  bool little_;
};

}  // namespace

int exif_orientation(std::span<const std::uint8_t> exif) {
  constexpr std::size_t tag = 0x0112, short_type = 3;
  const TiffReader tiff(exif);
  if (!tiff.is_tiff()) return 1;
  const std::size_t directory = tiff.number(4, 4), entries = tiff.number(directory, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + 12 * i;
    if (tiff.number(entry, 2) != tag || tiff.number(entry + 2, 2) != short_type) continue;
    const std::size_t value = tiff.number(entry + 8, 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

Picture upright(Picture picture, int orientation) {
  BNTRAIN_EXPECTS(orientation >= 1 && orientation <= 8);
  if (orientation == 1) return picture;
  const bool transposed = orientation >= 5;
  const bool from_right = orientation == 2 || orientation == 3 || orientation >= 7;
  const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const std::int64_t width = picture.width, height = picture.height;
  Picture result{width, height, {}, true, picture.warning};
  if (transposed) std::swap(result.width, result.height);
  result.rgb.resize(picture.rgb.size());
  auto to = result.rgb.begin();
  for (std::int64_t y = 0; y < result.height; ++y)
    for (std::int64_t x = 0; x < result.width; ++x, to += 3) {
      const std::int64_t column = transposed ? y : x, row = transposed ? x : y;
      const std::int64_t from =
          (from_bottom ? height - 1 - row : row) * width + (from_right ? width - 1 - column : column);
      std::copy_n(picture.rgb.begin() + 3 * from, 3, to);
    }
  return result;
}

}  // namespace bntrain
