#include "support/picture_files.hpp"

#include <stdio.h>  // jpeglib.h needs it

#include <jpeglib.h>
#include <png.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <stdexcept>

namespace bntrain::test {
namespace {

void write(const std::string& path, int width, int height, const Pixels& pixels, png_uint_32 format) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(height);
  image.format = format;
  if (pixels.size() != PNG_IMAGE_SIZE(image)) throw std::logic_error("other pixels than the size says");
  if (png_image_write_to_file(&image, path.c_str(), 0, pixels.data(), 0, nullptr) == 0)
    throw std::runtime_error(path + ": " + image.message);
}

void write_jpeg(const std::string& path, int width, int height, const Pixels& pixels, J_COLOR_SPACE colours,
                const Pixels& exif = {}) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);  // ends the program
  jpeg_create_compress(&info);
  const std::unique_ptr<jpeg_compress_struct, void (*)(j_compress_ptr)> freed(&info, jpeg_destroy_compress);
  info.image_width = static_cast<JDIMENSION>(width);
  info.image_height = static_cast<JDIMENSION>(height);
  info.in_color_space = colours;
  info.input_components = colours == JCS_CMYK ? 4 : 3;
  const std::size_t row_size = static_cast<std::size_t>(info.input_components * width);
  if (pixels.size() != row_size * static_cast<std::size_t>(height))
    throw std::logic_error("other pixels than the size says");
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, 100, TRUE);
  info.comp_info[0].h_samp_factor = info.comp_info[0].v_samp_factor = 1;
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &bytes, &size);
  jpeg_start_compress(&info, TRUE);
  if (!exif.empty()) jpeg_write_marker(&info, JPEG_APP0 + 1, exif.data(), static_cast<unsigned>(exif.size()));
  for (std::size_t row = 0; row < static_cast<std::size_t>(height); ++row) {
    JSAMPROW from = const_cast<JSAMPROW>(pixels.data() + row * row_size);
    jpeg_write_scanlines(&info, &from, 1);
  }
  jpeg_finish_compress(&info);
  const std::unique_ptr<unsigned char, void (*)(void*)> freed_bytes(bytes, std::free);
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes), static_cast<std::streamsize>(size));
}

}  // namespace

void write_png(const std::string& path, int width, int height, const Pixels& rgb) {
  write(path, width, height, rgb, PNG_FORMAT_RGB);
}

void write_png_with_alpha(const std::string& path, int width, int height, const Pixels& rgba) {
  write(path, width, height, rgba, PNG_FORMAT_RGBA);
}

void write_jpeg(const std::string& path, int width, int height, const Pixels& rgb) {
  write_jpeg(path, width, height, rgb, JCS_RGB);
}

void write_turned_jpeg(const std::string& path, int width, int height, const Pixels& rgb, int orientation) {
  Pixels exif = {'E', 'x', 'i', 'f', 0, 0};
  const Pixels data = exif_data(orientation);
  exif.insert(exif.end(), data.begin(), data.end());
  write_jpeg(path, width, height, rgb, JCS_RGB, exif);
}

Pixels exif_data(int orientation) {
  return {'M',       'M',  0,      42, 0, 0, 0, 8, /**/ 0, 1,
          /**/ 0x01, 0x12, 0,      3,  0, 0, 0, 1, 0,      static_cast<std::uint8_t>(orientation),
          0,         0,    /**/ 0, 0,  0, 0};
}

void write_cmyk_jpeg(const std::string& path, int width, int height, const Pixels& cmyk) {
  write_jpeg(path, width, height, cmyk, JCS_CMYK);
}

}  // namespace bntrain::test
