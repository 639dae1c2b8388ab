#include "core/write_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "bntrain/error.hpp"

namespace bntrain {
namespace fs = std::filesystem;
namespace {

constexpr int most_links = 40;  // of Linux

/// A file that is open while it lives.
struct Descriptor {
  explicit Descriptor(int opened) : number(opened) {}
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number;
};

/// False with errno.
bool write_all(int descriptor, const void* bytes, std::size_t count) {
  const char* next = static_cast<const char*>(bytes);
  while (count > 0) {
    const ssize_t written = ::write(descriptor, next, count);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    next += written;
    count -= static_cast<std::size_t>(written);
  }
  return true;
}

/// False with errno.
bool copy_all(int from, int to) {
  std::array<char, 65536> buffer{};
  while (true) {
    const ssize_t count = ::read(from, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return count == 0;
    if (!write_all(to, buffer.data(), static_cast<std::size_t>(count))) return false;
  }
}

/// False with errno. Some file systems do not know what syncing is.
bool sync(int descriptor) {
  while (::fsync(descriptor) != 0) {
    if (errno == EINVAL || errno == ENOSYS) return true;
    if (errno != EINTR) return false;
  }
  return true;
}

}  // namespace

fs::path followed(const fs::path& path) {
  fs::path place = path;
  std::error_code error;
  for (int link = 0; link < most_links && fs::is_symlink(fs::symlink_status(place, error)); ++link) {
    const fs::path next = fs::read_symlink(place, error);
    if (error) break;
    place = place.parent_path() / next;
  }
  return place;
}

bool same_file(const fs::path& a, const fs::path& b) {
  std::error_code error;
  if (fs::equivalent(a, b, error)) return true;
  const auto name = [&](const fs::path& path) {
    return fs::weakly_canonical(fs::absolute(followed(path), error), error);
  };
  return !name(a).empty() && name(a) == name(b);
}

FileWriter::FileWriter(const fs::path& target) : target_(followed(target)), folder_(target_.parent_path()) {
  if (folder_.empty()) folder_ = ".";
  std::error_code error;
  const fs::file_type type = fs::status(target, error).type();
  if (type == fs::file_type::directory)
    throw Error(ErrorKind::data, target_.string() + ": is a folder; name a regular file");
  const bool exists = type == fs::file_type::regular;
  if (type == fs::file_type::none) {  // a name that is too long, links in a circle
    errno = error.value();
    fail("cannot be written");
  }
  if (!exists && type != fs::file_type::not_found) {
    // renaming onto /dev/null would replace the device
    throw Error(ErrorKind::data, target_.string() + ": is a device; name a regular file");
  }
  open_temporary(folder_);
  if (descriptor_ >= 0) return;
  // A single file may be all that a container lends.
  const int reason = errno;
  if (exists && ::access(target_.c_str(), W_OK) == 0) open_temporary(fs::temp_directory_path(error));
  if (descriptor_ >= 0) return;
  errno = reason;
  fail("cannot be written");
}

FileWriter::~FileWriter() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void FileWriter::fail(const std::string& what) const {
  const std::string reason = std::strerror(errno);
  throw Error(ErrorKind::data, target_.string() + ": " + what + ": " + reason);
}

/// In the target's folder the rename stays within one file system. The name does not hold the target's, which
/// may be as long as names can be; an old crash may have left it behind.
void FileWriter::open_temporary(const fs::path& folder) {
  const std::string stem = (folder / ".bntrain-").string() + std::to_string(::getpid());
  for (int attempt = 0; attempt < 100 && descriptor_ < 0; ++attempt) {
    const std::string name = stem + "." + std::to_string(attempt) + ".tmp";
    descriptor_ = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ >= 0) temporary_ = name;
    if (descriptor_ < 0 && errno != EEXIST) break;
  }
}

void FileWriter::write(const void* bytes, std::size_t count) {
  if (!write_all(descriptor_, bytes, count)) fail("writing failed");
}

/// As far as the system lets this user: the file is what matters.
void FileWriter::keep_mode_and_owner() const {
  struct stat old = {};
  if (::stat(target_.c_str(), &old) != 0) return;
  if (::fchown(descriptor_, old.st_uid, old.st_gid) != 0 &&
      ::fchown(descriptor_, static_cast<uid_t>(-1), old.st_gid) != 0) {
    // The mode must not give another group what the old one had.
    old.st_mode &= ~static_cast<mode_t>(S_IRWXG);
  }
  ::fchmod(descriptor_, old.st_mode & static_cast<mode_t>(0777));
}

void FileWriter::copy_over_target() const {
  const char* const failure = "copying the finished file over it failed";
  const Descriptor finished(::open(temporary_.c_str(), O_RDONLY | O_CLOEXEC));
  const Descriptor target(::open(target_.c_str(), O_WRONLY | O_CLOEXEC));
  struct stat size = {}, old = {};
  if (finished.number < 0 || target.number < 0 || ::fstat(finished.number, &size) != 0 ||
      ::fstat(target.number, &old) != 0) {
    fail(failure);
  }
  // Space first, so that a full disk leaves the old file as it was. Not every file system can tell.
  const int full = ::posix_fallocate(target.number, 0, size.st_size);
  if (full == ENOSPC || full == EDQUOT || full == EFBIG) {
    const bool restored = ::ftruncate(target.number, old.st_size) == 0;
    errno = full;
    fail(restored ? failure : "copying the finished file over it failed and changed its size");
  }
  if (!copy_all(finished.number, target.number) || ::ftruncate(target.number, size.st_size) != 0 ||
      !sync(target.number)) {
    fail(failure);
  }
}

void FileWriter::commit() {
  keep_mode_and_owner();
  if (!sync(descriptor_)) fail("syncing failed");
  const int closing = descriptor_;
  descriptor_ = -1;
  if (::close(closing) != 0 && errno != EINTR) fail("closing failed");
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) {
    const int reason = errno;
    std::error_code ignored;
    if (fs::is_regular_file(target_, ignored)) return copy_over_target();
    errno = reason;
    fail("renaming the finished file failed");
  }
  temporary_.clear();

  const int folder = ::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;  // not every folder may be read; the file itself is complete
  ::fsync(folder);         // some file systems refuse this for folders, which leaves no more to do
  ::close(folder);
}

void write_file(const fs::path& target, const std::string& text) {
  FileWriter writer(target);
  writer.write(text.data(), text.size());
  writer.commit();
}

void remove_temporary_files(const fs::path& folder) {
  std::vector<fs::path> leftovers;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with('.') && name.ends_with(".tmp")) leftovers.push_back(entry.path());
  }
  std::error_code ignored;
  for (const fs::path& leftover : leftovers) fs::remove(leftover, ignored);
}

}  // namespace bntrain
