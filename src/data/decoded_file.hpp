// A file's contents as a stream of bytes, unpacked when they are gzip.
#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace bntrain {

/// "FILE: byte 4" or, in the contents of a gzip file, "FILE: byte 4 after unpacking".
std::string byte_location(const std::filesystem::path& path, bool unpacked, std::int64_t byte);

/// Reads a regular file forward. gzip (RFC 1952, any number of members) is recognised by its first two bytes,
/// not by the file's name. Throws Error(data) that names the file and the byte.
class DecodedFile {
 public:
  explicit DecodedFile(const std::filesystem::path& path);

  /// Fills `out` with the next `size` bytes. Returns fewer only where the contents end; then the gzip
  /// checksum was right and nothing follows it.
  std::size_t read(std::uint8_t* out, std::size_t size);

  bool packed() const { return inflater_ != nullptr; }
  /// Bytes on disk.
  std::int64_t file_size() const { return file_size_; }
  /// The most bytes that the contents can have: exact for a raw file, an upper bound for gzip.
  std::int64_t max_contents_size() const;

 private:
  struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  struct EndInflate {
    void operator()(z_stream* stream) const;
  };

  std::size_t read_file(std::uint8_t* out, std::size_t size);
  void start_inflate();
  void refill();
  void next_member();
  [[noreturn]] void fail_gzip(const std::string& what) const;

  std::filesystem::path path_;
  std::int64_t file_size_ = 0;
  std::unique_ptr<std::FILE, CloseFile> file_;
  std::unique_ptr<z_stream, EndInflate> inflater_;  ///< null: the file is raw
  std::vector<std::uint8_t> packed_bytes_;
  std::int64_t file_position_ = 0;  ///< bytes read from the file
  bool ended_ = false;              ///< the last gzip member is complete
};

}  // namespace bntrain
