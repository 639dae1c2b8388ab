// Writes pictures for tests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bntrain::test {

using Pixels = std::vector<std::uint8_t>;  // [height][width][3], or [4] with alpha

void write_png(const std::string& path, int width, int height, const Pixels& rgb);
void write_png_with_alpha(const std::string& path, int width, int height, const Pixels& rgba);
/// Of the best quality, without subsampling of colours.
void write_jpeg(const std::string& path, int width, int height, const Pixels& rgb);
/// Stored as given, with that orientation in its Exif data.
void write_turned_jpeg(const std::string& path, int width, int height, const Pixels& rgb, int orientation);
Pixels exif_data(int orientation);
void write_cmyk_jpeg(const std::string& path, int width, int height, const Pixels& cmyk);

}  // namespace bntrain::test
