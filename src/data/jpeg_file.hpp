// JPEG files.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "data/picture.hpp"

namespace bntrain {

/// Called with width and height before pixels are decoded; throws where they are not allowed.
using SizeCheck = std::function<void(std::int64_t width, std::int64_t height)>;

/// Decodes by libjpeg-turbo, upright as the Exif data say, and in the fewest halvings that leave at most
/// max_decoded_pixels. Colours of print (CMYK) become RGB as R = C * K / 255 of the stored, inverted values,
/// as Pillow has it. What loses no pixels (bytes between segments, a missing end) is a warning in the result;
/// anything else throws std::runtime_error with libjpeg's reason.
Picture decode_jpeg(std::span<const std::uint8_t> bytes, const SizeCheck& check_size);

}  // namespace bntrain
