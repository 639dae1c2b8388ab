// Where the value of a flag came from, which CLI11 does not say.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "bntrain/error.hpp"
#include "cli/flags/app_fwd.hpp"

namespace bntrain::cli {

/// In the order of precedence.
enum class Source { program, environment, file, command_line };

class Sources {
 public:
  /// `app` has a ConfigFile and must outlive this object; the command is the one that it parsed.
  Sources(const CLI::App& app, std::vector<std::string> arguments)
      : app_(app), arguments_(std::move(arguments)) {}

  /// Of the flag of that name, "lr".
  Source of(const std::string& flag) const;

  /// For messages: " (from the environment variable BNTRAIN_LR)", " (from run.toml, line 3)"; "" for what the
  /// user wrote after the command and for defaults.
  std::string note(const std::string& flag) const;

  /// The error in words for users, who know flags and not settings: "--batch-size: ...", with its source.
  Error with_flag(const Error& error) const;

 private:
  int line_of(const std::string& flag) const;
  std::string variable_of(const std::string& flag) const;

  const CLI::App& app_;
  std::vector<std::string> arguments_;
};

/// A line for every variable BNTRAIN_... that belongs to no flag of a command of `app`.
std::vector<std::string> unknown_variables(const CLI::App& app);

}  // namespace bntrain::cli
