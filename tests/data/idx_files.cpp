#include "data/idx_files.hpp"

#include <stdlib.h>  // mkdtemp
#include <zlib.h>

#include <fstream>
#include <stdexcept>

namespace bntrain::test {

TempFolder::TempFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "bntrain-data-XXXXXX").string();
  if (!mkdtemp(name.data())) throw std::runtime_error("no temporary folder: " + name);
  path_ = name;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::filesystem::path TempFolder::write(const std::string& name, const Bytes& bytes) const {
  std::ofstream file(path_ / name, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) throw std::runtime_error("cannot write " + (path_ / name).string());
  return path_ / name;
}

Bytes words(const std::vector<std::uint32_t>& values) {
  Bytes bytes;
  for (const std::uint32_t value : values) {
    for (const int shift : {24, 16, 8, 0}) bytes.push_back(static_cast<std::uint8_t>(value >> shift));
  }
  return bytes;
}

Bytes operator+(Bytes left, const Bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

Bytes text(const std::string& characters) {
  return Bytes(characters.begin(), characters.end());
}

Bytes idx_images(std::uint32_t count, std::uint32_t height, std::uint32_t width) {
  Bytes pixels(std::size_t{count} * height * width);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i % 251);
  return words({0x803, count, height, width}) + pixels;
}

Bytes idx_labels(const Bytes& labels) {
  return words({0x801, static_cast<std::uint32_t>(labels.size())}) + labels;
}

Bytes gzip(const Bytes& contents) {
  z_stream stream{};
  if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::runtime_error("deflateInit2 failed");
  }
  Bytes packed(deflateBound(&stream, contents.size()));
  stream.next_in = const_cast<Bytes::value_type*>(contents.data());
  stream.avail_in = static_cast<uInt>(contents.size());
  stream.next_out = packed.data();
  stream.avail_out = static_cast<uInt>(packed.size());
  const int status = deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  if (status != Z_STREAM_END) throw std::runtime_error("deflate failed");
  return packed;
}

}  // namespace bntrain::test
