// bntrain: parse, dispatch, exit code.
#include <spdlog/spdlog.h>

#include <exception>

#include "bntrain/error.hpp"
#include "cli/command_line.hpp"
#include "cli/logging.hpp"

namespace {

int run(int argc, char** argv) {
  using namespace bntrain::cli;
  const CommandLine line = parse_command_line(argc, argv);
  switch (line.command) {
    case Command::train:
      return run_train(line.train);
    case Command::eval:
      return run_eval(line.eval);
    case Command::predict:
      return run_predict(line.predict);
    case Command::bench:
      return run_bench(line.bench);
    case Command::time:
      return run_time(line.time);
    case Command::info:
      return run_info(line.info);
    case Command::none:
      break;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  bntrain::cli::set_up_logging();
  try {
    return run(argc, argv);
  } catch (const bntrain::Error& error) {
    spdlog::error("{}", error.what());
    return error.exit_code();
  } catch (const std::exception& error) {
    spdlog::error("internal error: {}", error.what());
    return static_cast<int>(bntrain::ErrorKind::runtime);
  }
}
