#include "cli/reports/output.hpp"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

#include "bntrain/error.hpp"

namespace bntrain::cli {
namespace {

struct Terminal {
  bool color = false;     ///< stderr takes colours and the user did not forbid them
  bool progress = false;  ///< stderr can redraw a line
};

/// What stderr can do: a terminal, `TERM=dumb`, `NO_COLOR` (https://no-color.org).
Terminal stderr_terminal() {
  const char* term = std::getenv("TERM");
  const bool capable = isatty(STDERR_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
  const char* no_color = std::getenv("NO_COLOR");
  return {.color = capable && (no_color == nullptr || *no_color == '\0'), .progress = capable};
}

class PrintableMessage : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm& /*time*/,
              spdlog::memory_buf_t& to) override {
    // Warnings and errors are a line each, whatever the names in them hold.
    const std::string text =
        printable({message.payload.data(), message.payload.size()}, message.level < spdlog::level::warn);
    to.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<PrintableMessage>();
  }
};

// stdout is for results: spdlog's own default logger would write there.
void log_to_stderr(bool color) {
  const auto mode = color ? spdlog::color_mode::always : spdlog::color_mode::never;
  auto logger = std::make_shared<spdlog::logger>("bntrain",
                                                 std::make_shared<spdlog::sinks::stderr_color_sink_st>(mode));
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<PrintableMessage>('*').set_pattern("%^%l:%$ %*");
  logger->set_formatter(std::move(formatter));
  spdlog::set_default_logger(std::move(logger));
}

constexpr int usual_width = 80;
constexpr int widest_bar = 30, narrowest_bar = 3;

/// Columns of the terminal that a descriptor goes to, 0 where it goes to none or one that does not say.
int terminal_width(int descriptor) {
  winsize size{};
  return isatty(descriptor) == 1 && ioctl(descriptor, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

constexpr double seconds_between_drawings = 0.1;

std::string duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::ceil(seconds));
  return whole < 3600 ? fmt::format("{}:{:02}", whole / 60, whole % 60)
                      : fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

/// A terminal that is gone is no error.
void draw(const std::string& text) {
  std::fputs(text.c_str(), stderr);
  std::fflush(stderr);
}

}  // namespace

std::string printable(std::string_view text, bool lines) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto code = static_cast<unsigned char>(text[i]);
    // U+0080 to U+009F are control characters too, in UTF-8 of two bytes.
    const bool upper =
        code == 0xC2 && i + 1 < text.size() && (static_cast<unsigned char>(text[i + 1]) & 0xE0) == 0x80;
    if (upper) code = static_cast<unsigned char>(text[++i]);
    const bool control = upper || code == 0x7F || (code < 0x20 && code != '\t' && !(lines && code == '\n'));
    result += control ? fmt::format("\\u{:04x}", code) : std::string(1, text[i]);
  }
  return result;
}

void set_up_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    // The lowest number that is free is this one. A container may have no /dev.
    if (::fcntl(stream, F_GETFD) < 0 && ::open("/dev/null", O_RDWR) < 0 && ::open("/", O_RDONLY) < 0)
      std::_Exit(static_cast<int>(ErrorKind::runtime));
  }
  // Not SIG_IGN, which programs that are started would inherit.
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGPIPE, &action, nullptr);
  sigaction(SIGXFSZ, &action, nullptr);
}

void set_up_logging() {
  log_to_stderr(stderr_terminal().color);
}

bool shows_progress(const LogOptions& options) {
  return stderr_terminal().progress && !options.quiet;
}

void adjust_logging(const LogOptions& options) {
  log_to_stderr(stderr_terminal().color && !options.no_color);
  spdlog::set_level(options.quiet ? spdlog::level::warn : spdlog::level::info);
}

std::size_t output_width() {
  if (const int width = terminal_width(STDOUT_FILENO); width > 0) return static_cast<std::size_t>(width);
  const char* columns = std::getenv("COLUMNS");
  const int asked = columns != nullptr ? std::atoi(columns) : 0;
  return static_cast<std::size_t>(asked > 0 ? asked : usual_width);
}

bool prints_to_terminal() {
  const char* term = std::getenv("TERM");
  return isatty(STDOUT_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
}

void print_result(const std::string& line) {
  print_bytes(printable(line) + "\n");
}

void print_bytes(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) < text.size() || std::fflush(stdout) != 0) {
    if (errno == EPIPE) throw ClosedPipe();
    throw Error(ErrorKind::runtime,
                std::string("the results cannot be written to stdout: ") + std::strerror(errno));
  }
}

void Progress::update(const std::string& before, std::int64_t done, std::int64_t total,
                      const std::string& after) {
  const auto now = Clock::now();
  if (!enabled_ || done <= 0 ||
      std::chrono::duration<double>(now - last_).count() < seconds_between_drawings) {
    return;
  }
  last_ = now;
  drawn_ = true;
  const double share = static_cast<double>(done) / static_cast<double>(total);
  const double left = std::chrono::duration<double>(now - start_).count() * (1 / share - 1);
  const std::string start = before + " ";
  const std::string end = fmt::format("{:3.0f}% {} ETA {}", 100 * share, after, duration(left));
  const int terminal = terminal_width(STDERR_FILENO);
  // In the last column some terminals already begin a new line.
  const int width = (terminal > 0 ? terminal : usual_width) - 1;
  const int room = std::min(widest_bar, width - static_cast<int>(start.size() + end.size() + 3));
  std::string bar;
  if (room >= narrowest_bar) {
    const int filled = std::clamp(static_cast<int>(share * room), 0, room);
    bar = fmt::format("[{:=<{}}{:<{}}] ", "", filled, "", room - filled);
  }
  draw(
      fmt::format("\r{}\x1b[K", (start + bar + end).substr(0, static_cast<std::size_t>(std::max(width, 0)))));
}

void Progress::clear() {
  if (!drawn_) return;
  drawn_ = false;
  draw("\r\x1b[K");
}

}  // namespace bntrain::cli
