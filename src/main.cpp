// bntrain: runs the command line and maps errors to exit codes.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <exception>
#include <string>

#include "bntrain/error.hpp"
#include "cli/command_line.hpp"
#include "cli/reports/output.hpp"

namespace {

/// The library names settings, and users know flags: batch_size is --batch-size.
std::string message(const bntrain::Error& error) {
  if (error.setting().empty()) return error.message();
  std::string flag = error.setting();
  std::ranges::replace(flag, '_', '-');
  return "--" + flag + ": " + error.message();
}

}  // namespace

int main(int argc, char** argv) {
  bntrain::cli::set_up_logging();
  try {
    return bntrain::cli::run_command_line(argc, argv);
  } catch (const bntrain::Error& error) {
    spdlog::error("{}", message(error));
    return error.exit_code();
  } catch (const std::exception& error) {
    spdlog::error("internal error: {}", error.what());
    return static_cast<int>(bntrain::ErrorKind::runtime);
  }
}
