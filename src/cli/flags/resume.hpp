// --resume RUN: every setting from the run, unless it is given again.
#pragma once

#include "cli/flags/app_fwd.hpp"
#include "cli/flags/sources.hpp"
#include "cli/flags/train_options.hpp"

namespace bntrain::cli {

/// Reads the last checkpoint of options.resume into options.stored and gives every option of `train` that was
/// not given the value that it had in the run; options.changes are the settings that a flag changes from here
/// on. Where the run began in another working directory, the process goes there, so that relative names mean
/// what they meant. Throws Error(usage) of the flag where one was given a value that would make it another
/// run, Error(data) where the checkpoint is missing or damaged.
void resume_options(CLI::App& train, TrainOptions& options, const Sources& sources);

}  // namespace bntrain::cli
