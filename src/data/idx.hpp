// One IDX file: the format of LeCun's MNIST page, http://yann.lecun.com/exdb/mnist/.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace bntrain {

/// What an IDX file of unsigned bytes can hold here. The value is the number of dimensions.
enum class IdxKind { labels = 1, images = 3 };

/// A checked IDX file.
struct IdxFile {
  std::filesystem::path path;
  bool packed = false;               ///< it was gzip
  std::vector<std::int64_t> sizes;   ///< (count) or (count, height, width), each at least 1
  std::vector<std::uint8_t> values;  ///< row-major, the product of `sizes`
  std::string sha256;                ///< of the unpacked contents, header included

  std::int64_t count() const { return sizes[0]; }
  /// Names the byte of value `index`.
  std::string value_location(std::int64_t index) const;
  /// Names the byte of size `dimension` in the header.
  std::string size_location(std::int64_t dimension) const;
};

/// Reads a raw or gzip IDX file: a big-endian header (0, 0, 8 for unsigned bytes, the number of dimensions,
/// then one 32-bit size each), then the values. Throws Error(data) that names the file and the byte for every
/// deviation. Memory for the values is taken only as far as the file can hold what its header promises.
IdxFile read_idx(const std::filesystem::path& path, IdxKind kind);

}  // namespace bntrain
