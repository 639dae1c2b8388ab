// From argv to one command with its options.
#pragma once

#include "cli/bench_command.hpp"
#include "cli/eval_command.hpp"
#include "cli/info_command.hpp"
#include "cli/predict_command.hpp"
#include "cli/time_command.hpp"
#include "cli/train_command.hpp"

namespace bntrain::cli {

enum class Command { none, train, eval, predict, bench, time, info };

struct CommandLine {
  Command command = Command::none;  ///< none: --help or --version was printed
  TrainOptions train;
  EvalOptions eval;
  PredictOptions predict;
  BenchOptions bench;
  TimeOptions time;
  InfoOptions info;
};

/// Defaults < environment BNTRAIN_* < --config FILE < flags. Throws Error(usage) that names the flag, the
/// value and what is allowed, or Error(data) when the configuration file is missing.
CommandLine parse_command_line(int argc, const char* const* argv);

}  // namespace bntrain::cli
