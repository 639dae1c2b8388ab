// bntrain: runs the command line and maps errors to exit codes.
#include <spdlog/spdlog.h>

#include <csignal>
#include <exception>
#include <new>
#include <system_error>

#include "bntrain/error.hpp"
#include "cli/command_line.hpp"
#include "cli/reports/output.hpp"

int main(int argc, char** argv) {
  bntrain::cli::set_up_streams();
  try {
    bntrain::cli::set_up_logging();
    return bntrain::cli::run_command_line(argc, argv);
  } catch (const bntrain::cli::ClosedPipe&) {
    return 128 + SIGPIPE;
  } catch (const bntrain::Error& error) {
    spdlog::error("{}", error.what());
    return error.exit_code();
  } catch (const std::bad_alloc&) {
    spdlog::error(
        "not enough memory: neither the machine nor the limits of this process (a container's, ulimit -v) "
        "have more; a smaller --batch-size, a smaller network, or --threads 1 needs less");
    return static_cast<int>(bntrain::ErrorKind::runtime);
  } catch (const std::system_error& error) {
    spdlog::error("the system refused: {}", error.what());
    return static_cast<int>(bntrain::ErrorKind::runtime);
  } catch (const std::exception& error) {
    spdlog::error("internal error: {}", error.what());
    return static_cast<int>(bntrain::ErrorKind::runtime);
  }
}
