#include "formats/png.hpp"

#include <openssl/evp.h>
#include <png.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "bntrain/error.hpp"

namespace bntrain {
namespace {

/// The mean of a square of `factor` pixels a side, as far as it is in the image.
std::uint8_t mean(const std::uint8_t* plane, const Shape& shape, std::int64_t factor, std::int64_t row,
                  std::int64_t column) {
  const std::int64_t bottom = std::min((row + 1) * factor, shape.height);
  const std::int64_t right = std::min((column + 1) * factor, shape.width);
  std::int64_t sum = 0, count = 0;
  for (std::int64_t y = row * factor; y < bottom; ++y)
    for (std::int64_t x = column * factor; x < right; ++x, ++count) sum += plane[y * shape.width + x];
  return static_cast<std::uint8_t>((sum + count / 2) / count);
}

}  // namespace

Png png(std::span<const std::uint8_t> pixels, const Shape& shape, std::int64_t longest) {
  BNTRAIN_EXPECTS(static_cast<std::int64_t>(pixels.size()) == shape.size() && longest > 0);
  const std::int64_t factor = (std::max(shape.height, shape.width) + longest - 1) / longest;
  const std::int64_t height = (shape.height + factor - 1) / factor;
  const std::int64_t width = (shape.width + factor - 1) / factor;
  const std::int64_t channels = shape.channels == 3 ? 3 : 1;
  std::vector<std::uint8_t> interleaved;
  for (std::int64_t row = 0; row < height; ++row)
    for (std::int64_t column = 0; column < width; ++column)
      for (std::int64_t channel = 0; channel < channels; ++channel)
        interleaved.push_back(mean(pixels.data() + channel * shape.spatial(), shape, factor, row, column));

  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(height);
  image.format = channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  std::string bytes(PNG_IMAGE_PNG_SIZE_MAX(image), '\0');
  png_alloc_size_t size = bytes.size();
  if (png_image_write_to_memory(&image, bytes.data(), &size, 0, interleaved.data(), 0, nullptr) == 0)
    throw Error(ErrorKind::runtime, std::string("a picture cannot be made: ") + image.message);
  bytes.resize(size);
  return {std::move(bytes), height, width, channels};
}

std::string base64(const std::string& bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // EVP_EncodeBlock ends it with a zero
  const int length =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(length));
  return text;
}

}  // namespace bntrain
