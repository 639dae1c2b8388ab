#include "data/decoded_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "bntrain/error.hpp"

namespace bntrain {
namespace {

constexpr std::size_t read_block = std::size_t{256} << 10;
// zlib counts in 32 bits.
constexpr std::size_t inflate_block = std::size_t{1} << 30;
// Deflate spends at least two bits on its longest match of 258 bytes.
constexpr std::int64_t max_deflate_ratio = 1032;
constexpr int gzip_only_window = 15 + 16;
constexpr std::uint8_t gzip_magic[2] = {0x1f, 0x8b};

}  // namespace

std::string byte_location(const std::filesystem::path& path, bool unpacked, std::int64_t byte) {
  return path.string() + ": byte " + std::to_string(byte) + (unpacked ? " after unpacking" : "");
}

void DecodedFile::EndInflate::operator()(z_stream* stream) const {
  inflateEnd(stream);
  delete stream;
}

DecodedFile::DecodedFile(const std::filesystem::path& path) : path_(path) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) {
    throw Error(ErrorKind::data, path.string() + ": " + error.message());
  }
  // Opening a pipe would wait for ever, reading a device would never end.
  if (!std::filesystem::is_regular_file(status)) {
    throw Error(ErrorKind::data, path.string() + ": not a regular file");
  }
  file_.reset(std::fopen(path.c_str(), "rb"));
  if (!file_) {
    throw Error(ErrorKind::data, path.string() + ": cannot be opened: " + std::strerror(errno));
  }
  file_size_ = static_cast<std::int64_t>(std::filesystem::file_size(path, error));
  if (error) throw Error(ErrorKind::data, path.string() + ": " + error.message());

  std::uint8_t start[2] = {};
  const std::size_t count = read_file(start, sizeof start);
  std::rewind(file_.get());
  file_position_ = 0;
  if (count == sizeof start && std::equal(start, start + 2, gzip_magic)) start_inflate();
}

std::int64_t DecodedFile::max_contents_size() const {
  return packed() ? file_size_ * max_deflate_ratio : file_size_;
}

std::size_t DecodedFile::read(std::uint8_t* out, std::size_t size) {
  if (!packed()) return read_file(out, size);
  std::size_t done = 0;
  while (done < size && !ended_) {
    if (inflater_->avail_in == 0) refill();
    if (inflater_->avail_in == 0) fail_gzip("the gzip data break off, the file is truncated");
    const std::size_t room = std::min(size - done, inflate_block);
    inflater_->next_out = out + done;
    inflater_->avail_out = static_cast<uInt>(room);
    const int status = inflate(inflater_.get(), Z_NO_FLUSH);
    done += room - inflater_->avail_out;
    if (status == Z_STREAM_END) {
      next_member();
    } else if (status == Z_MEM_ERROR) {
      throw std::bad_alloc();
    } else if (status != Z_OK && status != Z_BUF_ERROR) {
      const char* reason = inflater_->msg;
      fail_gzip("the gzip data are corrupt (" + std::string(reason ? reason : "no reason given") + ")");
    }
  }
  return done;
}

std::size_t DecodedFile::read_file(std::uint8_t* out, std::size_t size) {
  const std::size_t count = std::fread(out, 1, size, file_.get());
  file_position_ += static_cast<std::int64_t>(count);
  if (count < size && std::ferror(file_.get())) {
    throw Error(ErrorKind::data,
                byte_location(path_, false, file_position_) + ": reading failed: " + std::strerror(errno));
  }
  return count;
}

void DecodedFile::start_inflate() {
  packed_bytes_.resize(read_block);
  auto stream = std::make_unique<z_stream>();
  if (inflateInit2(stream.get(), gzip_only_window) != Z_OK) throw std::bad_alloc();
  inflater_.reset(stream.release());
}

void DecodedFile::refill() {
  inflater_->next_in = packed_bytes_.data();
  inflater_->avail_in = static_cast<uInt>(read_file(packed_bytes_.data(), packed_bytes_.size()));
}

void DecodedFile::next_member() {
  // Zeros after the last member are padding, as gzip itself has it.
  do {
    if (inflater_->avail_in == 0) refill();
    while (inflater_->avail_in > 0 && *inflater_->next_in == 0) ++inflater_->next_in, --inflater_->avail_in;
  } while (inflater_->avail_in == 0 && !std::feof(file_.get()));
  if (inflater_->avail_in == 0) {
    ended_ = true;
  } else if (*inflater_->next_in == gzip_magic[0]) {
    inflateReset(inflater_.get());
  } else {
    fail_gzip("bytes that are not gzip follow the end of the gzip data");
  }
}

void DecodedFile::fail_gzip(const std::string& what) const {
  const std::int64_t byte = file_position_ - inflater_->avail_in;
  throw Error(ErrorKind::data, byte_location(path_, false, byte) + " of " + std::to_string(file_size_) +
                                   ": " + what + "; fetch the file again");
}

}  // namespace bntrain
