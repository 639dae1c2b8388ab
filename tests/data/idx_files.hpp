// Data files made by the tests, and what they are expected to provoke.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "bntrain/error.hpp"

namespace bntrain::test {

using Bytes = std::vector<std::uint8_t>;

/// A fresh folder that vanishes with all that is in it.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::string& name, const Bytes& bytes) const;

 private:
  std::filesystem::path path_;
};

/// Big-endian 32-bit words.
Bytes words(const std::vector<std::uint32_t>& values);
Bytes operator+(Bytes left, const Bytes& right);
Bytes text(const std::string& characters);

/// A whole IDX file. The pixels are 0, 1, 2, ... modulo 251.
Bytes idx_images(std::uint32_t count, std::uint32_t height, std::uint32_t width);
Bytes idx_labels(const Bytes& labels);

/// One gzip member.
Bytes gzip(const Bytes& contents);

/// Runs `action` and returns the Error that it throws; anything else fails the test.
template <typename Action>
Error error_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  } catch (const std::exception& error) {
    ADD_FAILURE() << "expected a bntrain::Error, got " << error.what();
    return Error(ErrorKind::runtime, error.what());
  }
  ADD_FAILURE() << "expected an error, got none";
  return Error(ErrorKind::runtime, "");
}

/// Matches an Error of that kind whose message holds `part`.
MATCHER_P2(IsError, kind, part, "is an error of that kind and says \"" + std::string(part) + "\"") {
  *result_listener << "it is of kind " << static_cast<int>(arg.kind()) << " and says \"" << arg.what()
                   << "\"";
  return arg.kind() == kind && std::string(arg.what()).find(part) != std::string::npos;
}

inline auto IsDataError(const std::string& part) {
  return IsError(ErrorKind::data, part);
}
inline auto IsUsageError(const std::string& part) {
  return IsError(ErrorKind::usage, part);
}

}  // namespace bntrain::test
