// TensorBoard's event files: what it shows of a training run, step by step.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "core/histogram.hpp"
#include "formats/png.hpp"

namespace bntrain {

struct Markdown {
  std::string text;
};

/// What one curve, series of pictures, ... has at one step.
struct EventValue {
  std::string tag;  ///< its name; TensorBoard groups by what is before a slash
  std::variant<double, Histogram, Png, Markdown> value;
};

/// Begins every file: the version of the format.
struct EventVersion {};
/// A process begins with this step: what earlier files of the folder hold of it and of later ones is void.
struct EventStart {};

struct Event {
  double wall_time = 0;  ///< seconds since 1970
  std::int64_t step = 0;
  std::variant<EventVersion, EventStart, std::vector<EventValue>> what;
};

/// The event as TensorFlow's protocol buffer. Throws Error(runtime) where this build has no protobuf.
std::string serialized(const Event& event);

/// One file, record by record. TensorBoard reads all files of a folder as one run, in the order of their
/// names.
class EventFile {
 public:
  /// Begins a file that is the last of the folder, with that step. Here and later throws Error(data) where
  /// it cannot be written.
  EventFile(const std::filesystem::path& folder, std::int64_t first_step);
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  /// The file ends with a whole record after every call, also after one that failed.
  void write(std::int64_t step, const std::vector<EventValue>& values);

 private:
  void append(std::int64_t step, decltype(Event::what) what);

  std::filesystem::path path_;
  int descriptor_ = -1;
  std::int64_t size_ = 0;
};

/// Whether the folder holds event files.
bool holds_event_files(const std::filesystem::path& folder);

}  // namespace bntrain
