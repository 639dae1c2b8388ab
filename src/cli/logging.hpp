// Logs for people, on stderr.
#pragma once

namespace bntrain::cli {

struct Terminal {
  bool color = false;     ///< stderr takes colours and the user did not forbid them
  bool progress = false;  ///< stderr can redraw a line
};

/// What stderr can do: a terminal, `TERM=dumb`, `NO_COLOR` (https://no-color.org).
Terminal stderr_terminal();

/// Sends spdlog to stderr as "level: message".
void set_up_logging();

/// `quiet` leaves warnings and errors only.
void adjust_logging(bool quiet, bool color);

}  // namespace bntrain::cli
