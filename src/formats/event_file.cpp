#include "formats/event_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <string_view>
#include <utility>

#include "bntrain/error.hpp"
#include "core/crc32c.hpp"

namespace bntrain {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view prefix = "events.out.tfevents.";

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// The number that the name begins with; -1 where it is no event file's.
std::int64_t number_of(const fs::path& path) {
  const std::string name = path.filename().string();
  if (!name.starts_with(prefix)) return -1;
  std::int64_t number = 0;
  std::from_chars(name.data() + prefix.size(), name.data() + name.size(), number);
  return number;
}

/// The largest number of the folder's event files; -1 where there is none.
std::int64_t last_number(const fs::path& folder) {
  std::int64_t last = -1;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored))
    last = std::max(last, number_of(entry.path()));
  return last;
}

/// Seconds, as in TensorFlow's names, but behind every file that is there: a run may be resumed within a
/// second.
std::string next_name(const fs::path& folder) {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host = {"localhost"};
  const std::string number =
      std::to_string(std::max(static_cast<std::int64_t>(now()), last_number(folder) + 1));
  return std::string(prefix) + std::string(10 - std::min<std::size_t>(10, number.size()), '0') + number +
         "." + host.data() + "." + std::to_string(::getpid()) + ".0";
}

template <typename Number>
std::string little_endian(Number number) {
  std::string bytes;
  for (std::size_t i = 0; i < sizeof number; ++i) bytes += static_cast<char>(number >> (8 * i) & 0xff);
  return bytes;
}

/// Rotated and moved, so that the checksum of bytes that hold checksums is none of a known kind.
std::string masked_checksum(std::string_view bytes) {
  const std::uint32_t sum = crc32c(bytes);
  return little_endian(((sum >> 15) | (sum << 17)) + 0xa282ead8U);
}

/// TFRecord: the length and its checksum, the bytes and theirs.
std::string framed(const std::string& bytes) {
  const std::string length = little_endian(static_cast<std::uint64_t>(bytes.size()));
  return length + masked_checksum(length) + bytes + masked_checksum(bytes);
}

}  // namespace

EventFile::EventFile(const fs::path& folder, std::int64_t first_step)
    : path_(folder / next_name(folder)),
      descriptor_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)) {
  if (descriptor_ < 0)
    throw Error(ErrorKind::data, path_.string() + ": cannot be written: " + std::strerror(errno));
  append(0, EventVersion{});
  append(first_step, EventStart{});
}

EventFile::~EventFile() {
  ::close(descriptor_);
}

void EventFile::write(std::int64_t step, const std::vector<EventValue>& values) {
  append(step, values);
}

void EventFile::append(std::int64_t step, decltype(Event::what) what) {
  const std::string record = framed(serialized({now(), step, std::move(what)}));
  for (std::size_t done = 0; done < record.size();) {
    const ssize_t written = ::write(descriptor_, record.data() + done, record.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const std::string reason = std::strerror(errno);
      const bool whole = ::ftruncate(descriptor_, size_) == 0;
      throw Error(ErrorKind::data, path_.string() + ": writing failed: " + reason +
                                       (whole ? "" : "; its last record is not whole"));
    }
    done += static_cast<std::size_t>(written);
  }
  size_ += static_cast<std::int64_t>(record.size());
}

bool holds_event_files(const fs::path& folder) {
  return last_number(folder) >= 0;
}

}  // namespace bntrain
