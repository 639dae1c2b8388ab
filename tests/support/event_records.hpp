// The records of TensorBoard's event files as TFRecord frames them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "core/crc32c.hpp"

namespace bntrain::test {

/// The bytes of every record. Fails where a checksum is wrong or the file does not end with a whole record.
inline std::vector<std::string> event_records(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  const std::string file((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  const auto has_checksum = [&](std::size_t first, std::size_t count) {
    std::uint32_t stored = 0;
    std::memcpy(&stored, file.data() + first + count, sizeof stored);
    const std::uint32_t rotated = stored - 0xa282ead8U;
    return ((rotated >> 17) | (rotated << 15)) == crc32c(std::string_view(file).substr(first, count));
  };
  std::vector<std::string> records;
  std::size_t at = 0;
  while (at < file.size()) {
    std::uint64_t length = 0;
    if (at + 16 > file.size()) break;
    std::memcpy(&length, file.data() + at, sizeof length);
    if (at + 16 + length > file.size()) break;
    EXPECT_TRUE(has_checksum(at, 8) && has_checksum(at + 12, length)) << path << ", byte " << at;
    records.push_back(file.substr(at + 12, length));
    at += 16 + length;
  }
  EXPECT_EQ(at, file.size()) << path << " ends within a record";
  return records;
}

/// The event files of a folder, in the order in which they are read.
inline std::vector<std::filesystem::path> event_files(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().filename().string().starts_with("events.out.tfevents.")) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace bntrain::test
