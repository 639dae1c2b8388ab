#include "cli/output_file.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "bntrain/error.hpp"

namespace bntrain::cli {

void expect_writable(const std::string& flag, const std::string& path) {
  namespace fs = std::filesystem;
  const auto refuse = [&](const std::string& reason) {
    throw Error(ErrorKind::data, flag + ": " + path + " cannot be written: " + reason);
  };
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) refuse("it is a folder; name a file");
  const fs::path parent = fs::path(path).parent_path();
  const fs::path folder = parent.empty() ? fs::path(".") : parent;
  if (!fs::is_directory(folder, ignored))
    refuse("the folder " + folder.string() + " does not exist; create it first");
  const bool exists = fs::exists(path, ignored);
  if (exists && access(path.c_str(), W_OK) != 0) refuse(std::strerror(errno));
  // A device such as /dev/null is written in place; a file appears or is replaced in its folder.
  const bool in_place = exists && !fs::is_regular_file(path, ignored);
  if (!in_place && access(folder.c_str(), W_OK | X_OK) != 0) {
    refuse("the folder " + folder.string() + " is not writable: " + std::strerror(errno));
  }
}

}  // namespace bntrain::cli
