#include "data/idx.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <span>

#include "bntrain/error.hpp"
#include "core/digest.hpp"
#include "data/decoded_file.hpp"
#include "data/limits.hpp"

namespace bntrain {
namespace {

// A header of 16 bytes in a gzip file may still promise a thousand times the file's size, so memory is taken
// in steps: the first one holds Fashion-MNIST, each further one doubles what has really been unpacked.
constexpr std::size_t first_values_block = std::size_t{64} << 20;

std::string name_of(IdxKind kind) {
  return kind == IdxKind::images ? "images" : "labels";
}

std::uint32_t magic_of(IdxKind kind) {
  return 0x0800u | static_cast<std::uint32_t>(kind);
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
    read_values(promised_values());
    idx_.sha256 = digest_.hex();
    return std::move(idx_);
  }

 private:
  [[noreturn]] void fail(std::int64_t byte, const std::string& what) const {
    throw Error(ErrorKind::data, byte_location(idx_.path, idx_.packed, byte) + ": " + what);
  }

  void read_header() {
    const std::size_t dimensions = static_cast<std::size_t>(kind_);
    std::array<std::uint8_t, 16> buffer{};
    const std::span<std::uint8_t> header(buffer.data(), static_cast<std::size_t>(header_bytes(dimensions)));
    const std::size_t count = file_.read(header.data(), header.size());
    if (looks_like_markup(header.first(count))) {
      fail(0, "this is a web page, not IDX " + name_of(kind_) +
                  ": the download went wrong; fetch the file again");
    }
    if (count >= 4) check_magic(big_endian(header.data()));
    if (count < header.size()) {
      fail(static_cast<std::int64_t>(count), "the file ends inside the IDX header of " +
                                                 std::to_string(header.size()) +
                                                 " bytes; fetch the file again");
    }
    for (std::size_t i = 0; i < dimensions; ++i) idx_.sizes.push_back(big_endian(&header[4 + 4 * i]));
    digest_.update(header.data(), header.size());
  }

  void check_magic(std::uint32_t magic) const {
    if (magic == magic_of(kind_)) return;
    const IdxKind other = kind_ == IdxKind::images ? IdxKind::labels : IdxKind::images;
    fail(0, "the magic number is " + hex(magic) +
                (magic == magic_of(other) ? ", that of IDX " + name_of(other) : std::string()) +
                "; expected " + hex(magic_of(kind_)) + " (IDX " + name_of(kind_) + " of unsigned bytes)");
  }

  /// Checks the sizes and returns their product.
  std::int64_t promised_values() const {
    if (idx_.sizes[0] == 0) fail(4, "the set is empty: 0 " + name_of(kind_));
    if (idx_.sizes[0] > max_images) {
      fail(4, "the header promises " + std::to_string(idx_.sizes[0]) + " " + name_of(kind_) +
                  "; allowed are 1 to " + std::to_string(max_images));
    }
    std::int64_t values = idx_.sizes[0];
    for (std::size_t i = 1; i < idx_.sizes.size(); ++i) {
      if (idx_.sizes[i] < 1 || idx_.sizes[i] > max_side) {
        fail(header_bytes(i), std::string("the image ") + (i == 1 ? "height" : "width") + " is " +
                                  std::to_string(idx_.sizes[i]) + "; allowed is 1 to " +
                                  std::to_string(max_side));
      }
      values *= idx_.sizes[i];
    }
    const std::int64_t promised = header_bytes(idx_.sizes.size()) + values;
    if (promised > file_.max_contents_size()) {
      fail(4, promise(values) + ", but the " + (idx_.packed ? "gzip file of " : "file has only ") +
                  std::to_string(file_.file_size()) + " bytes" + (idx_.packed ? " cannot hold them" : ""));
    }
    if (values > max_set_bytes) {
      fail(4, promise(values) + "; at most " + std::to_string(max_set_bytes) + " can be loaded");
    }
    return values;
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

  std::string promise(std::int64_t values) const {
    std::string sizes;
    for (const std::int64_t size : idx_.sizes) {
      if (!sizes.empty()) sizes += 'x';
      sizes += std::to_string(size);
    }
    return "the header promises " + sizes + " " + name_of(kind_) + " (" +
           std::to_string(header_bytes(idx_.sizes.size()) + values) + " bytes with the header)";
  }

  DecodedFile file_;
  IdxKind kind_;
  IdxFile idx_;
  Sha256 digest_;
};

}  // namespace

std::string IdxFile::value_location(std::int64_t index) const {
  return byte_location(path, packed, header_bytes(sizes.size()) + index);
}

std::string IdxFile::size_location(std::int64_t dimension) const {
  return byte_location(path, packed, header_bytes(static_cast<std::size_t>(dimension)));
}

IdxFile read_idx(const std::filesystem::path& path, IdxKind kind) {
  return IdxReader(path, kind).read();
}

}  // namespace bntrain
