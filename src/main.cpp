// bntrain: runs the command line and maps errors to exit codes.
#include <spdlog/spdlog.h>

#include <csignal>
#include <exception>

#include "bntrain/error.hpp"
#include "cli/command_line.hpp"
#include "cli/reports/output.hpp"

int main(int argc, char** argv) {
  bntrain::cli::set_up_streams();
  bntrain::cli::set_up_logging();
  try {
    return bntrain::cli::run_command_line(argc, argv);
  } catch (const bntrain::cli::ClosedPipe&) {
    return 128 + SIGPIPE;
  } catch (const bntrain::Error& error) {
    spdlog::error("{}", error.what());
    return error.exit_code();
  } catch (const std::exception& error) {
    spdlog::error("internal error: {}", error.what());
    return static_cast<int>(bntrain::ErrorKind::runtime);
  }
}
