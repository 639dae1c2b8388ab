// Decoding by libpng and libjpeg-turbo: both check what they read, and both tell the size before the pixels.
#include <png.h>
#include <turbojpeg.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>

#include "bntrain/error.hpp"
#include "data/picture.hpp"

namespace bntrain {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::array<std::uint8_t, 8> png_start = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
constexpr std::array<std::uint8_t, 3> jpeg_start = {0xff, 0xd8, 0xff};

template <std::size_t size>
bool begins_with(const Bytes& bytes, const std::array<std::uint8_t, size>& start) {
  return bytes.size() >= size && std::equal(start.begin(), start.end(), bytes.begin());
}

/// One file; every error names it.
class PictureFile {
 public:
  explicit PictureFile(const std::filesystem::path& path) : path_(path) {}

  Picture read() const {
    const Bytes bytes = read_bytes();
    if (begins_with(bytes, png_start)) return read_png(bytes);
    if (begins_with(bytes, jpeg_start)) return read_jpeg(bytes);
    fail("neither a PNG nor a JPEG");
  }

 private:
  [[noreturn]] void fail(const std::string& problem) const {
    throw Error(ErrorKind::data, path_.string() + ": " + problem);
  }

  Bytes read_bytes() const {
    std::error_code error;
    if (std::filesystem::exists(path_, error) && !std::filesystem::is_regular_file(path_, error))
      fail("is a folder or a device, not a picture");
    std::ifstream stream(path_, std::ios::binary | std::ios::ate);
    if (!stream) fail(std::string("cannot be opened: ") + std::strerror(errno));
    const std::int64_t size = stream.tellg();
    if (size < 0) fail(std::string("cannot be read: ") + std::strerror(errno));
    if (size > max_picture_file)
      fail("has " + std::to_string(size) + " bytes; allowed are " + std::to_string(max_picture_file));
    Bytes bytes(static_cast<std::size_t>(size));
    stream.seekg(0);
    if (!stream.read(reinterpret_cast<char*>(bytes.data()), size)) fail("reading stopped before its end");
    return bytes;
  }

  void check_size(std::int64_t width, std::int64_t height) const {
    const bool fits = width >= 1 && height >= 1 && width <= max_picture_side && height <= max_picture_side &&
                      width * height <= max_picture_pixels;
    if (fits) return;
    fail("promises " + std::to_string(width) + " x " + std::to_string(height) + " pixels; allowed are " +
         std::to_string(max_picture_side) + " a side and " + std::to_string(max_picture_pixels) +
         " together");
  }

  Picture read_png(const Bytes& bytes) const {
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    const std::unique_ptr<png_image, void (*)(png_image*)> freed(&image, png_image_free);
    if (png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()) == 0)
      fail(std::string("damaged PNG: ") + image.message);
    check_size(image.width, image.height);
    image.format = PNG_FORMAT_RGBA;
    image.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;  // else 16-bit files without a gamma would count as linear
    Bytes rgba(PNG_IMAGE_SIZE(image));
    if (png_image_finish_read(&image, nullptr, rgba.data(), 0, nullptr) == 0)
      fail(std::string("damaged PNG: ") + image.message);

    Picture picture{image.width, image.height, {}};
    picture.rgb.reserve(rgba.size() / 4 * 3);
    for (std::size_t pixel = 0; pixel < rgba.size(); pixel += 4)
      for (std::size_t c = 0; c < 3; ++c) {
        const int alpha = rgba[pixel + 3];
        picture.rgb.push_back(
            static_cast<std::uint8_t>((rgba[pixel + c] * alpha + 255 * (255 - alpha) + 127) / 255));
      }
    return picture;
  }

  Picture read_jpeg(const Bytes& bytes) const {
    const std::unique_ptr<void, int (*)(tjhandle)> decoder(tjInitDecompress(), tjDestroy);
    const auto check = [&](int result) {
      if (result != 0) fail(std::string("damaged JPEG: ") + tjGetErrorStr2(decoder.get()));
    };
    int width = 0, height = 0, subsampling = 0, colours = 0;
    const auto size = static_cast<unsigned long>(bytes.size());
    check(tjDecompressHeader3(decoder.get(), bytes.data(), size, &width, &height, &subsampling, &colours));
    check_size(width, height);
    if (colours == TJCS_CMYK || colours == TJCS_YCCK)
      fail("a JPEG in the colours of print (CMYK); save it in RGB");
    Picture picture{width, height, Bytes(static_cast<std::size_t>(3) * width * height)};
    // Without the flags a file that is cut off is grey where it ends, and one of endless scans takes hours.
    check(tjDecompress2(decoder.get(), bytes.data(), size, picture.rgb.data(), width, 0, height, TJPF_RGB,
                        TJFLAG_STOPONWARNING | TJFLAG_LIMITSCANS | TJFLAG_ACCURATEDCT));
    return picture;
  }

  const std::filesystem::path& path_;
};

}  // namespace

bool looks_like_picture(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  Bytes start(png_start.size());
  stream.read(reinterpret_cast<char*>(start.data()), static_cast<std::streamsize>(start.size()));
  start.resize(static_cast<std::size_t>(stream.gcount()));
  return begins_with(start, png_start) || begins_with(start, jpeg_start);
}

Picture read_picture(const std::filesystem::path& path) {
  return PictureFile(path).read();
}

}  // namespace bntrain
