#include "cli/run_options.hpp"

#include <string>

#include "bntrain/error.hpp"
#include "cli/option_values.hpp"

namespace bntrain::cli {
namespace {

constexpr std::uint64_t most = 1'000'000'000'000;

void expect(bool needed_is_there, const std::string& flag, const std::string& needed) {
  if (!needed_is_there) throw Error(ErrorKind::usage, flag + " needs " + needed);
}

}  // namespace

void add_validation(CLI::App& app, TrainConfig& config) {
  add_number(app, "--valid", config.valid, {0, 1, false, true},
             "share of the training images that is kept for validation: every evaluation takes them, and the "
             "test set is looked at once, with the weights that were best on them");
  add_integer(app, "--patience", config.patience, {0, most},
              "end after N epochs without a better validation accuracy; 0: never");
}

void add_run(CLI::App& app, TrainOptions& options) {
  TrainConfig& config = options.config;
  add_text(app, "--out", config.out, "RUN",
           "folder for checkpoints, metrics and configuration of the run; it is created");
  add_text(app, "--resume", options.resume, "RUN",
           "go on with the run in that folder, with its settings, as if it had never stopped");
  add_integer(app, "--save-every", config.save_every, {0, most},
              "write a checkpoint every N steps too; 0: only after epochs");
  add_integer(app, "--keep", config.keep, {0, most}, "keep the last N checkpoints under numbered names too");
}

void check_run_options(const TrainConfig& config) {
  expect(config.save_every == 0 || !config.out.empty(), "--save-every", "--out RUN, where checkpoints go");
  expect(config.keep == 0 || !config.out.empty(), "--keep", "--out RUN, where checkpoints go");
  expect(config.patience == 0 || config.valid > 0, "--patience",
         "--valid FRACTION: without validation images there is nothing to wait for");
}

}  // namespace bntrain::cli
