#include "support/picture_files.hpp"

#include <png.h>
#include <turbojpeg.h>

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

void write_jpeg(const std::string& path, int width, int height, const Pixels& pixels, int format) {
  if (pixels.size() != static_cast<std::size_t>(tjPixelSize[format] * width * height))
    throw std::logic_error("other pixels than the size says");
  const std::unique_ptr<void, int (*)(tjhandle)> encoder(tjInitCompress(), tjDestroy);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  const int result =
      tjCompress2(encoder.get(), pixels.data(), width, 0, height, format, &bytes, &size, TJSAMP_444, 100, 0);
  const std::unique_ptr<unsigned char, void (*)(unsigned char*)> freed(bytes, tjFree);
  if (result != 0) throw std::runtime_error(path + ": " + tjGetErrorStr2(encoder.get()));
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
  write_jpeg(path, width, height, rgb, TJPF_RGB);
}

void write_cmyk_jpeg(const std::string& path, int width, int height, const Pixels& cmyk) {
  write_jpeg(path, width, height, cmyk, TJPF_CMYK);
}

}  // namespace bntrain::test
