// Logs for people, on stderr.
#pragma once

#include "cli/app_fwd.hpp"

namespace bntrain::cli {

/// Sends spdlog to stderr as "level: message".
void set_up_logging();

/// What a command's flags say of them.
struct LogOptions {
  bool quiet = false;  ///< warnings and errors only, and no progress bar
  bool no_color = false;
};

/// --quiet, --no-color.
void add_log_options(CLI::App& app, LogOptions& options);

void adjust_logging(const LogOptions& options);

/// Whether stderr gets a line that is drawn again and again.
bool shows_progress(const LogOptions& options);

}  // namespace bntrain::cli
