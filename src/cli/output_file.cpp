#include "cli/output_file.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "bntrain/error.hpp"

namespace bntrain::cli {
namespace {

// access() says yes to root and knows nothing of file systems that take no files, so a file is really made.
bool can_create_in(const std::filesystem::path& folder) {
  std::string name = (folder / ".bntrain-XXXXXX").string();
  const int descriptor = mkstemp(name.data());
  if (descriptor < 0) return false;
  close(descriptor);
  unlink(name.c_str());
  return true;
}

}  // namespace

void expect_writable(const std::string& flag, const std::string& path, OutputKind kind) {
  namespace fs = std::filesystem;
  const auto refuse = [&](const std::string& reason) {
    throw Error(ErrorKind::data, flag + ": " + path + " cannot be written: " + reason);
  };
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) refuse("it is a folder; name a file");
  const bool exists = fs::exists(path, ignored);
  if (exists && access(path.c_str(), W_OK) != 0) refuse(std::strerror(errno));
  if (exists && !fs::is_regular_file(path, ignored)) {
    if (kind == OutputKind::replaced) refuse("it is a device; name a file");
    return;
  }
  const fs::path parent = fs::path(path).parent_path();
  const fs::path folder = parent.empty() ? fs::path(".") : parent;
  if (!fs::is_directory(folder, ignored))
    refuse("the folder " + folder.string() + " does not exist; create it first");
  const bool creates = kind == OutputKind::replaced || !exists;
  if (creates && !can_create_in(folder)) {
    const std::string reason = std::strerror(errno);
    refuse("the folder " + folder.string() + " takes no files: " + reason);
  }
}

}  // namespace bntrain::cli
