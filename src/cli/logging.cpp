#include "cli/logging.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string_view>

namespace bntrain::cli {
namespace {

// stdout is for results: spdlog's own default logger would write there.
void log_to_stderr(bool color) {
  const auto mode = color ? spdlog::color_mode::always : spdlog::color_mode::never;
  auto logger = std::make_shared<spdlog::logger>("bntrain",
                                                 std::make_shared<spdlog::sinks::stderr_color_sink_st>(mode));
  logger->set_pattern("%^%l:%$ %v");
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace

Terminal stderr_terminal() {
  const char* term = std::getenv("TERM");
  const bool capable = isatty(STDERR_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
  const char* no_color = std::getenv("NO_COLOR");
  return {.color = capable && (no_color == nullptr || *no_color == '\0'), .progress = capable};
}

void set_up_logging() {
  log_to_stderr(stderr_terminal().color);
}

void adjust_logging(bool quiet, bool color) {
  log_to_stderr(color);
  spdlog::set_level(quiet ? spdlog::level::warn : spdlog::level::info);
}

}  // namespace bntrain::cli
