// From argv to the command that runs.
#pragma once

namespace bntrain::cli {

/// Takes every setting from defaults < environment BNTRAIN_* < --config FILE < flags, then runs the command.
/// Returns the exit code. Throws Error(usage) that names the flag, the value and what is allowed, Error(data)
/// when the configuration file is missing, and what the command throws.
int run_command_line(int argc, const char* const* argv);

}  // namespace bntrain::cli
