#include "data/idx.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <span>

#include "bntrain/error.hpp"
#include "core/digest.hpp"
#include "core/number_text.hpp"
#include "data/decoded_file.hpp"
#include "data/file_kind.hpp"
#include "data/limits.hpp"

namespace bntrain {
namespace {

// A header of 16 bytes in a gzip file may still promise a thousand times the file's size, so memory is taken
// in steps: the first one holds Fashion-MNIST, each further one doubles what has really been unpacked.
constexpr std::size_t first_values_block = std::size_t{64} << 20;

std::string name_of(IdxKind kind) {
  return kind == IdxKind::images ? "images" : "labels";
}

std::uint32_t big_endian(const std::uint8_t* bytes) {
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 | std::uint32_t{bytes[2]} << 8 |
         bytes[3];
}

std::string hex(std::uint32_t value) {
  std::string text = "0x";
  for (int shift = 28; shift >= 0; shift -= 4) text += "0123456789abcdef"[value >> shift & 15];
  return text;
}

std::int64_t header_bytes(std::size_t dimensions) {
  return 4 + 4 * static_cast<std::int64_t>(dimensions);
}

bool looks_like_markup(std::span<const std::uint8_t> start) {
  constexpr std::array<std::uint8_t, 3> utf8_mark = {0xef, 0xbb, 0xbf};
  if (start.size() >= 3 && std::equal(utf8_mark.begin(), utf8_mark.end(), start.begin()))
    start = start.subspan(3);
  const auto first =
      std::find_if(start.begin(), start.end(), [](std::uint8_t c) { return !std::isspace(c); });
  return first != start.end() && *first == '<';
}

/// Reads one file; its members share the file and what an error message needs.
class IdxReader {
 public:
  IdxReader(const std::filesystem::path& path, IdxKind kind) : file_(path), kind_(kind) {
    idx_.path = path;
    idx_.packed = file_.packed();
  }

  IdxFile read() {
    read_header();
    read_values(promised_bytes());
    idx_.sha256 = digest_.hex();
    if (kind_ == IdxKind::labels) take_first_column();
    if (!idx_.element.is_byte()) convert_values();
    if (channels_last_) move_channels_first();
    return std::move(idx_);
  }

 private:
  [[noreturn]] void fail(std::int64_t byte, const std::string& what) const {
    throw Error(ErrorKind::data, byte_location(idx_.path, idx_.packed, byte) + ": " + what);
  }

  void read_header() {
    std::array<std::uint8_t, 20> buffer{};
    const std::span<std::uint8_t> header(buffer);
    const auto usual = static_cast<std::size_t>(header_bytes(static_cast<std::size_t>(kind_)));
    std::size_t count = file_.read(header.data(), usual);
    std::size_t size = usual;
    if (count >= 4) {
      check_magic(header.first(count));
      size = static_cast<std::size_t>(header_bytes(header[3]));
      if (size > count) count += file_.read(&header[count], size - count);
    } else {
      refuse_foreign(header.first(count));
    }
    if (count < size) {
      fail(static_cast<std::int64_t>(count),
           "the file ends inside the IDX header of " + std::to_string(size) + " bytes; fetch the file again");
    }
    for (std::size_t i = 0; i < header[3]; ++i) idx_.sizes.push_back(big_endian(&header[4 + 4 * i]));
    digest_.update(header.data(), size);
    if (kind_ == IdxKind::images) find_shape();
  }

  /// What is no IDX file at all, by its beginning.
  void refuse_foreign(std::span<const std::uint8_t> start) const {
    if (looks_like_markup(start)) {
      fail(0, "this is a web page, not IDX " + name_of(kind_) +
                  ": the download went wrong; fetch the file again");
    }
    const FileKind* kind = idx_.packed ? file_kind(start) : file_kind(idx_.path);
    if (kind == nullptr) return;
    fail(0, "the contents are not IDX " + name_of(kind_) + ": " + (idx_.packed ? "after unpacking " : "") +
                kind->sentence());
  }

  void check_magic(std::span<const std::uint8_t> start) {
    const bool is_idx = start[0] == 0 && start[1] == 0;
    const IdxElement* element = is_idx ? find_idx_element(start[2]) : nullptr;
    const int dimensions = start[3], usual = static_cast<int>(kind_);
    if (element != nullptr && (dimensions == usual || dimensions == usual + 1)) {
      idx_.element = *element;
      return;
    }
    if (!is_idx) refuse_foreign(start);
    const int others = static_cast<int>(kind_ == IdxKind::images ? IdxKind::labels : IdxKind::images);
    std::string what;
    if (element != nullptr && dimensions == others)
      what = std::string(", that of IDX ") + (kind_ == IdxKind::images ? "labels" : "images");
    else if (element != nullptr)
      what = ", that of " + std::to_string(dimensions) + " dimensions of " + std::string(element->name);
    else if (start[2] == 0 && start[3] == 0)
      what = ", one in little-endian order, and IDX is big-endian";
    fail(0, "the magic number is " + hex(big_endian(start.data())) + what + "; expected " +
                hex(0x0800u | static_cast<std::uint32_t>(kind_)) + " (IDX " + name_of(kind_) +
                " of unsigned bytes)" +
                (kind_ == IdxKind::images ? ", images being count x height x width" : ""));
  }

  /// Which of the dimensions are channels.
  void find_shape() {
    const std::vector<std::int64_t>& sizes = idx_.sizes;
    idx_.shape = {1, sizes[1], sizes[2], false};
    if (sizes.size() == 3) return;
    // Of 1 and 3 it is 3: such images are colours, and one row or column high or wide.
    const auto rank = [](std::int64_t size) { return size == 3 ? 2 : size == 1 ? 1 : 0; };
    if (rank(sizes[1]) == rank(sizes[3])) {
      fail(4, size_text() +
                  " images: with 4 dimensions either the second or the last must be 1 or 3, the "
                  "channels" +
                  (rank(sizes[1]) > 0 ? "; here both are" : ""));
    }
    channels_last_ = rank(sizes[3]) > rank(sizes[1]);
    idx_.shape = channels_last_ ? Shape{sizes[3], sizes[1], sizes[2], false}
                                : Shape{sizes[1], sizes[2], sizes[3], false};
  }

  /// Checks the sizes and returns the bytes of all elements.
  std::int64_t promised_bytes() const {
    if (idx_.sizes[0] == 0) fail(4, "the set is empty: 0 " + name_of(kind_));
    if (idx_.sizes[0] > max_images) {
      fail(4, "the header promises " + std::to_string(idx_.sizes[0]) + " " + name_of(kind_) +
                  "; allowed are 1 to " + std::to_string(max_images));
    }
    if (kind_ == IdxKind::labels && idx_.sizes.size() == 2 && idx_.sizes[1] != 1 && idx_.sizes[1] != 8) {
      fail(8, size_text() +
                  " labels; allowed is one label an image, or QMNIST's 8 columns, whose first is "
                  "the class");
    }
    std::int64_t bytes = idx_.sizes[0] * idx_.element.bytes;
    for (std::size_t i = 1; i < idx_.sizes.size(); ++i) {
      if (idx_.sizes[i] < 1 || idx_.sizes[i] > max_side) {
        const char* name = idx_.sizes.size() == 4 ? "size" : i == 1 ? "height" : "width";
        fail(header_bytes(i), std::string("the image ") + name + " is " + std::to_string(idx_.sizes[i]) +
                                  "; allowed is 1 to " + std::to_string(max_side));
      }
      bytes *= idx_.sizes[i];
    }
    const std::int64_t promised = header_bytes(idx_.sizes.size()) + bytes;
    if (promised > file_.max_contents_size()) {
      fail(4, promise(bytes) + ", but the " + (idx_.packed ? "gzip file of " : "file has only ") +
                  std::to_string(file_.file_size()) + " bytes" + (idx_.packed ? " cannot hold them" : ""));
    }
    if (bytes > max_set_bytes) {
      fail(4, promise(bytes) + "; at most " + std::to_string(max_set_bytes) + " can be loaded");
    }
    return bytes;
  }

  void read_values(std::int64_t promised) {
    const std::size_t size = static_cast<std::size_t>(promised);
    const std::int64_t header = header_bytes(idx_.sizes.size());
    std::vector<std::uint8_t>& values = idx_.values;
    while (values.size() < size) {
      const std::size_t old_size = values.size();
      const std::size_t new_size = std::min(size, std::max(first_values_block, 2 * old_size));
      values.reserve(new_size);  // exactly: resize() alone may take twice as much
      values.resize(new_size);
      const std::size_t end = old_size + file_.read(values.data() + old_size, new_size - old_size);
      if (end < new_size) {
        fail(header + static_cast<std::int64_t>(end), "the file ends here, but " + promise(promised));
      }
    }
    std::uint8_t extra = 0;
    if (file_.read(&extra, 1) != 0) {
      fail(header + promised, "the file continues here, but " + promise(promised));
    }
    digest_.update(values.data(), values.size());
  }

  void take_first_column() {
    if (idx_.sizes.size() == 1) return;
    const auto size = static_cast<std::size_t>(idx_.element.bytes);
    const std::size_t stride = size * static_cast<std::size_t>(idx_.sizes[1]);
    for (std::size_t from = 0, to = 0; from < idx_.values.size(); from += stride, to += size)
      std::copy_n(idx_.values.begin() + static_cast<std::ptrdiff_t>(from), size,
                  idx_.values.begin() + static_cast<std::ptrdiff_t>(to));
    idx_.values.resize(static_cast<std::size_t>(idx_.sizes[0]) * size);
  }

  void convert_values() {
    const IdxElement& element = idx_.element;
    const std::int64_t count = static_cast<std::int64_t>(idx_.values.size()) / element.bytes;
    const auto value = [&](std::int64_t i) { return idx_value(element, idx_.values, i); };
    double least = value(0), most = value(0);
    std::int64_t bad = -1;
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i) {
      const double each = value(i);
      least = std::min(least, each);
      most = std::max(most, each);
      if (fits_byte(each))
        bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(each);
      else if (bad < 0)
        bad = i;
    }
    if (bad >= 0 && kind_ == IdxKind::labels) {
      throw Error(ErrorKind::data, idx_.label_location(bad) + ": the label is " + shortest_text(value(bad)) +
                                       "; allowed are whole numbers from 0 to 255");
    }
    if (kind_ == IdxKind::images && (bad >= 0 || most <= 1)) {
      throw Error(ErrorKind::data, idx_.value_location(std::max<std::int64_t>(bad, 0)) + ": the file holds " +
                                       std::string(element.name) + " from " + shortest_text(least) + " to " +
                                       shortest_text(most) +
                                       "; pixels are whole numbers from 0 to 255, and unsigned bytes (type "
                                       "0x08) where none exceeds 1: scale them and write bytes");
    }
    idx_.values = std::move(bytes);
  }

  void move_channels_first() {
    std::vector<std::uint8_t> planes(idx_.values.size());
    const auto channels = static_cast<std::size_t>(idx_.shape.channels);
    const auto pixels = static_cast<std::size_t>(idx_.shape.spatial());
    for (std::size_t i = 0; i < planes.size(); ++i) {
      const std::size_t image = i / (channels * pixels), channel = i / pixels % channels, pixel = i % pixels;
      planes[i] = idx_.values[(image * pixels + pixel) * channels + channel];
    }
    idx_.values = std::move(planes);
  }

  std::string size_text() const {
    std::string sizes;
    for (const std::int64_t size : idx_.sizes) {
      if (!sizes.empty()) sizes += 'x';
      sizes += std::to_string(size);
    }
    return sizes;
  }

  std::string promise(std::int64_t bytes) const {
    return "the header promises " + size_text() + " " + name_of(kind_) + " (" +
           std::to_string(header_bytes(idx_.sizes.size()) + bytes) + " bytes with the header)";
  }

  DecodedFile file_;
  IdxKind kind_;
  IdxFile idx_;
  Sha256 digest_;
  bool channels_last_ = false;
};

}  // namespace

std::string IdxFile::value_location(std::int64_t index) const {
  return byte_location(path, packed, header_bytes(sizes.size()) + index * element.bytes);
}

std::string IdxFile::label_location(std::int64_t index) const {
  return value_location(sizes.size() == 2 ? index * sizes[1] : index);
}

std::string IdxFile::size_location(std::int64_t dimension) const {
  return byte_location(path, packed, header_bytes(static_cast<std::size_t>(dimension)));
}

IdxFile read_idx(const std::filesystem::path& path, IdxKind kind) {
  return IdxReader(path, kind).read();
}

}  // namespace bntrain
