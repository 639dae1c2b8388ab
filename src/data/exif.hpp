// The orientation of photographs.
#pragma once

#include <cstdint>
#include <span>

#include "data/picture.hpp"

namespace bntrain {

/// The orientation that Exif data (a TIFF header and its first directory) ask for, 1 to 8; 1, upright, where
/// they say nothing or are damaged. The one tag that matters here is 40 lines; libexif reads all of them,
/// notes of camera makers included, from files that anybody may have written.
int exif_orientation(std::span<const std::uint8_t> exif);

/// The picture as it is meant to be seen. Expects 1 to 8: Exif 2.32, 4.6.4, tag 0x0112.
Picture upright(Picture picture, int orientation);

}  // namespace bntrain
