// One IDX file: the format of LeCun's MNIST page, http://yann.lecun.com/exdb/mnist/.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "bntrain/tensor.hpp"
#include "data/idx_values.hpp"

namespace bntrain {

/// What an IDX file holds. The value is the usual number of dimensions.
enum class IdxKind { labels = 1, images = 3 };

/// A checked IDX file.
struct IdxFile {
  std::filesystem::path path;
  bool packed = false;              ///< it was gzip
  std::vector<std::int64_t> sizes;  ///< of the header, each at least 1
  IdxElement element;
  Shape shape;                       ///< of an image
  std::vector<std::uint8_t> values;  ///< [count] or [count][channels][height][width], converted to bytes
  std::string sha256;                ///< of the unpacked contents, header included

  std::int64_t count() const { return sizes[0]; }
  /// Names the byte of element `index`, in the order of the file.
  std::string value_location(std::int64_t index) const;
  /// Names the byte of label `index`.
  std::string label_location(std::int64_t index) const;
  /// Names the byte of size `dimension` in the header.
  std::string size_location(std::int64_t dimension) const;
};

/// Reads a raw or gzip IDX file: a big-endian header (0, 0, the type of the elements, the number of
/// dimensions, then one 32-bit size each), then the elements. Images are (count, height, width), or with 1 or
/// 3 channels (count, channels, height, width) and (count, height, width, channels); labels are (count), or
/// (count, 1), or QMNIST's (count, 8), whose first column is the class. Elements of any type are taken where
/// they are whole numbers from 0 to 255; images of other types than unsigned bytes must exceed 1, because 0
/// and 1 alone may be a share of white as well. Throws Error(data) that names the file and the byte for every
/// deviation. Memory for the values is taken only as far as the file can hold what its header promises.
IdxFile read_idx(const std::filesystem::path& path, IdxKind kind);

}  // namespace bntrain
