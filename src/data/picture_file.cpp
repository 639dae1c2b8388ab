// Decoding by libpng and libjpeg-turbo: both check what they read, and both tell the size before the pixels.
#include <png.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "bntrain/error.hpp"
#include "data/exif.hpp"
#include "data/file_kind.hpp"
#include "data/jpeg_file.hpp"
#include "data/picture.hpp"

namespace bntrain {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::array<std::uint8_t, 8> png_start = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
constexpr std::array<std::uint8_t, 3> jpeg_start = {0xff, 0xd8, 0xff};

// Deflate unpacks a byte to at most 1032, and a byte may be 8 pixels.
constexpr std::int64_t most_deflated_pixels = 8 * 1032;

constexpr std::array<std::string_view, 19> picture_endings = {
    ".png",  ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".webp", ".heic", ".heif",
    ".avif", ".tif", ".tiff", ".jp2", ".jxl",  ".pgm", ".ppm", ".dng",  ".apng"};

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
    if (bytes.empty()) fail("is empty, neither a PNG nor a JPEG");
    const FileKind* kind = file_kind(path_);
    fail("neither a PNG nor a JPEG" + (kind == nullptr ? "" : ": " + kind->sentence()));
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

  static std::string pixels_text(std::int64_t width, std::int64_t height) {
    return "promises " + std::to_string(width) + " x " + std::to_string(height) + " pixels";
  }

  void check_size(std::int64_t width, std::int64_t height) const {
    const bool fits = width >= 1 && height >= 1 && width <= max_picture_side && height <= max_picture_side &&
                      width * height <= max_picture_pixels;
    if (fits) return;
    fail(pixels_text(width, height) + "; allowed are " + std::to_string(max_picture_side) + " a side and " +
         std::to_string(max_picture_pixels) + " together");
  }

  Picture read_png(const Bytes& bytes) const {
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    const std::unique_ptr<png_image, void (*)(png_image*)> freed(&image, png_image_free);
    if (png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()) == 0)
      fail(std::string("damaged PNG: ") + image.message);
    check_size(image.width, image.height);
    if (std::int64_t{image.width} * image.height >
        most_deflated_pixels * static_cast<std::int64_t>(bytes.size()))
      fail(pixels_text(image.width, image.height) + ", which its " + std::to_string(bytes.size()) +
           " bytes cannot hold");
    image.format = PNG_FORMAT_RGBA;
    image.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;  // else 16-bit files without a gamma would count as linear
    Bytes rgba(PNG_IMAGE_SIZE(image));
    if (png_image_finish_read(&image, nullptr, rgba.data(), 0, nullptr) == 0)
      fail(std::string("damaged PNG: ") + image.message);

    std::size_t to = 0;
    for (std::size_t pixel = 0; pixel < rgba.size(); pixel += 4) {
      const int alpha = rgba[pixel + 3];
      for (std::size_t c = 0; c < 3; ++c)
        rgba[to++] = static_cast<std::uint8_t>((rgba[pixel + c] * alpha + 255 * (255 - alpha) + 127) / 255);
    }
    rgba.resize(to);
    return upright({image.width, image.height, std::move(rgba)}, exif_orientation(png_exif(bytes)));
  }

  /// The data of the chunk eXIf; libpng has checked the chunks.
  static std::span<const std::uint8_t> png_exif(const Bytes& bytes) {
    const std::span<const std::uint8_t> file(bytes);
    for (std::size_t at = png_start.size(); at + 12 <= file.size();) {
      const std::size_t size = std::size_t{file[at]} << 24 | std::size_t{file[at + 1]} << 16 |
                               std::size_t{file[at + 2]} << 8 | file[at + 3];
      if (size > file.size() - at - 12) break;
      if (std::memcmp(&file[at + 4], "eXIf", 4) == 0) return file.subspan(at + 8, size);
      at += 12 + size;
    }
    return {};
  }

  Picture read_jpeg(const Bytes& bytes) const {
    try {
      return decode_jpeg(bytes, [&](std::int64_t width, std::int64_t height) { check_size(width, height); });
    } catch (const Error&) {
      throw;
    } catch (const std::runtime_error& error) {
      fail(std::string("damaged JPEG: ") + error.what());
    }
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

bool is_meant_as_picture(const std::filesystem::path& path) {
  std::string ending = path.extension().string();
  std::ranges::transform(ending, ending.begin(), [](unsigned char c) { return std::tolower(c); });
  if (std::ranges::find(picture_endings, ending) != picture_endings.end() || looks_like_picture(path))
    return true;
  const FileKind* kind = file_kind(path);
  return kind != nullptr && kind->picture;
}

Picture read_picture(const std::filesystem::path& path) {
  return PictureFile(path).read();
}

}  // namespace bntrain
