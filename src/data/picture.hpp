// Pictures of files, and how they become a network's input.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "bntrain/tensor.hpp"

namespace bntrain {

// A picture beyond these is refused when only its header has been read: a small file may promise any size.
// Cameras make 200 million pixels; a PNG takes 4 bytes for each of them.
inline constexpr std::int64_t max_picture_side = 65535;
inline constexpr std::int64_t max_picture_pixels = std::int64_t{1} << 28;
/// A JPEG of more is decoded at half, a quarter or an eighth of its size, which it can be at once.
inline constexpr std::int64_t max_decoded_pixels = std::int64_t{1} << 25;
inline constexpr std::int64_t max_picture_file = std::int64_t{1} << 28;  ///< bytes

struct Picture {
  std::int64_t width = 0;
  std::int64_t height = 0;
  std::vector<std::uint8_t> rgb;  ///< [height][width][3], sRGB
  bool turned = false;            ///< from how it is stored, as its Exif data say
  std::string warning = {};       ///< what is wrong with the file, all pixels being there; "" = nothing
};

/// Whether the file begins as a PNG or a JPEG does.
bool looks_like_picture(const std::filesystem::path& path);

/// Whether it is meant to be a picture: that, the beginning of another format, or the end of its name.
bool is_meant_as_picture(const std::filesystem::path& path);

/// Reads a PNG or a JPEG, told by content, upright as its Exif data say. What is transparent is laid on
/// white, as viewers do: colour * alpha + 255 * (1 - alpha), on the encoded values. Throws Error(data) with
/// the file and the reason for one that is no picture, too large, cut off or damaged (libpng's checksums,
/// warnings of libjpeg-turbo that tell of lost pixels; others are in the result).
Picture read_picture(const std::filesystem::path& path);

/// The picture as [channels][height][width] for a network whose input is `shape`:
///   1 channel: luma, 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601, on the encoded values); 3 channels: R, G, B
///   resized by areas: each pixel is the mean of the picture over the rectangle that it covers, weighted by
///   how much of a pixel is covered; a picture of the same size keeps its bytes
///   `invert`: 255 minus the value
/// and rounded once, at the end. Throws Error(data), which names `where`, unless the network takes 1 or 3
/// channels, and where width : height differs from the input's by more than a tenth.
std::vector<std::uint8_t> as_input(const Picture& picture, const Shape& shape, bool invert,
                                   const std::filesystem::path& where);

}  // namespace bntrain
