// What a file is that the program cannot read, and what its owner can do about it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace bntrain {

struct FileKind {
  std::string_view name;    ///< "a WebP picture"
  std::string_view remedy;  ///< "save it as PNG or JPEG"
  bool picture = false;

  /// "this is a WebP picture; save it as PNG or JPEG"
  std::string sentence() const;
};

/// By the first bytes of the file (300 tell most); nullptr where they say nothing.
const FileKind* file_kind(std::span<const std::uint8_t> start);

/// By the first bytes of that file, and for tables and Python's pickles by the end of its name; nullptr also
/// where it cannot be read.
const FileKind* file_kind(const std::filesystem::path& path);

}  // namespace bntrain
