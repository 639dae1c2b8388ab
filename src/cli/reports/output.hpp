// Where the output of a command goes: results to stdout, logs and a progress bar to stderr, the rest to
// files.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>

namespace bntrain::cli {

/// The text with its control characters but tabs as JSON writes them, \u001b: names come from files and
/// command lines, and a terminal would obey them. `lines`: its line ends stay too.
std::string printable(std::string_view text, bool lines = true);

/// Before any file is opened. Standard streams that are closed become /dev/null, so that no file is taken for
/// one of them; writing to a closed pipe or beyond a limit on file sizes is an error instead of the end.
void set_up_streams();

/// Sends spdlog to stderr as "level: message", the message printable().
void set_up_logging();

/// What --quiet and --no-color say of the logs.
struct LogOptions {
  bool quiet = false;  ///< warnings and errors only, and no progress bar
  bool no_color = false;
};

void adjust_logging(const LogOptions& options);

/// Whether stderr gets a line that is drawn again and again.
bool shows_progress(const LogOptions& options);

/// Columns of what stdout goes to: the terminal's, else the environment's COLUMNS, else 80.
std::size_t output_width();

/// Whether stdout is a terminal that draws more than plain lines.
bool prints_to_terminal();

/// The reader of stdout is gone, as `head` goes when it has enough. Programs end silently then, as if by
/// SIGPIPE.
struct ClosedPipe : std::exception {
  const char* what() const noexcept override { return "the reader of stdout is gone"; }
};

/// One printable() line on stdout at once, so that a pipe sees every epoch when it ends. Throws ClosedPipe or
/// Error(runtime).
void print_result(const std::string& line);

/// The text on stdout as it is. Throws likewise.
void print_bytes(const std::string& text);

/// A progress bar that redraws one line of stderr.
class Progress {
 public:
  /// Draws nothing at all unless `enabled`.
  explicit Progress(bool enabled) : enabled_(enabled) {}
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// "BEFORE [=====     ]  50% AFTER ETA 1:30", from the time since construction; as much of it as fits into
  /// one line of the terminal, the bar given up before the words.
  void update(const std::string& before, std::int64_t done, std::int64_t total, const std::string& after);
  /// Takes the bar away, so that other text can be written.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  bool enabled_;
  bool drawn_ = false;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_ = {};
};

}  // namespace bntrain::cli
