#include "core/write_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "bntrain/error.hpp"

namespace bntrain {

FileWriter::FileWriter(const std::filesystem::path& target) : target_(target), folder_(target.parent_path()) {
  if (folder_.empty()) folder_ = ".";
  std::error_code ignored;
  if (std::filesystem::exists(target_, ignored) && !std::filesystem::is_regular_file(target_, ignored)) {
    // renaming onto /dev/null would replace the device
    throw Error(ErrorKind::data, target_.string() + ": is a folder or a device; name a regular file");
  }
  // In the same folder, so that the rename stays within one file system; an old crash may have left a name
  // behind.
  const std::string stem =
      (folder_ / ("." + target_.filename().string())).string() + "." + std::to_string(::getpid());
  for (int attempt = 0; attempt < 100 && descriptor_ < 0; ++attempt) {
    temporary_ = stem + "." + std::to_string(attempt) + ".tmp";
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ < 0 && errno != EEXIST) break;
  }
  if (descriptor_ < 0) fail("cannot be written");
}

FileWriter::~FileWriter() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void FileWriter::fail(const std::string& what) const {
  const std::string reason = std::strerror(errno);
  throw Error(ErrorKind::data, target_.string() + ": " + what + ": " + reason);
}

void FileWriter::write(const void* bytes, std::size_t count) {
  const char* next = static_cast<const char*>(bytes);
  while (count > 0) {
    const ssize_t written = ::write(descriptor_, next, count);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("writing failed");
    next += written;
    count -= static_cast<std::size_t>(written);
  }
}

void FileWriter::commit() {
  if (::fsync(descriptor_) != 0) fail("syncing failed");
  const int closing = descriptor_;
  descriptor_ = -1;
  if (::close(closing) != 0) fail("closing failed");
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail("renaming the finished file failed");
  temporary_.clear();

  const int folder = ::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;  // not every folder may be read; the file itself is complete
  ::fsync(folder);         // some file systems refuse this for folders, which leaves no more to do
  ::close(folder);
}

void write_file(const std::filesystem::path& target, const std::string& text) {
  FileWriter writer(target);
  writer.write(text.data(), text.size());
  writer.commit();
}

void remove_temporary_files(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> leftovers;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with('.') && name.ends_with(".tmp")) leftovers.push_back(entry.path());
  }
  std::error_code ignored;
  for (const std::filesystem::path& leftover : leftovers) std::filesystem::remove(leftover, ignored);
}

}  // namespace bntrain
