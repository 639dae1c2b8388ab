#include "cli/logging.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string_view>

#include "cli/option_values.hpp"

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

// stdout is for results: spdlog's own default logger would write there.
void log_to_stderr(bool color) {
  const auto mode = color ? spdlog::color_mode::always : spdlog::color_mode::never;
  auto logger = std::make_shared<spdlog::logger>("bntrain",
                                                 std::make_shared<spdlog::sinks::stderr_color_sink_st>(mode));
  logger->set_pattern("%^%l:%$ %v");
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace

void set_up_logging() {
  log_to_stderr(stderr_terminal().color);
}

void add_log_options(CLI::App& app, LogOptions& options) {
  add_switch(app, "--quiet", options.quiet, "only warnings and errors on stderr");
  add_switch(app, "--no-color", options.no_color, "no colours on stderr, as NO_COLOR does");
}

bool shows_progress(const LogOptions& options) {
  return stderr_terminal().progress && !options.quiet;
}

void adjust_logging(const LogOptions& options) {
  log_to_stderr(stderr_terminal().color && !options.no_color);
  spdlog::set_level(options.quiet ? spdlog::level::warn : spdlog::level::info);
}

}  // namespace bntrain::cli
