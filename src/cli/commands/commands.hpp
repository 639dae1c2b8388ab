// The sub-commands, a file each.
#pragma once

#include <functional>
#include <memory>

#include "cli/flags/app_fwd.hpp"
#include "cli/flags/sources.hpp"

namespace bntrain::cli {

/// Runs a command with the flags that were parsed. Returns the exit code; throws Error.
using Run = std::function<int(const Sources&)>;

// Each adds its sub-command and its flags to `app`, which must outlive the function that is returned.

Run add_train(CLI::App& app);
Run add_bench(CLI::App& app);
Run add_eval(CLI::App& app);
Run add_predict(CLI::App& app);
Run add_report(CLI::App& app);
Run add_reproduce(CLI::App& app);
Run add_time(CLI::App& app);
Run add_export(CLI::App& app);
Run add_info(CLI::App& app);

/// A command whose flags `bind_flags` binds to the options that `run` takes.
template <typename Options>
Run command(CLI::App& app, void (*bind_flags)(CLI::App&, Options&), int (*run)(const Options&)) {
  auto options = std::make_shared<Options>();
  bind_flags(app, *options);
  return [options, run](const Sources&) { return run(*options); };
}

}  // namespace bntrain::cli
