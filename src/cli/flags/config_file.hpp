// Configuration files: one TOML section per command, whose keys are the flags without the dashes.
#pragma once

#include <CLI/CLI.hpp>
#include <istream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "train/records.hpp"

namespace bntrain::cli {

/// Reads TOML 1.0 by toml++. A list stands for its values with commas between them. What no flag takes, such
/// as a date, is an error with its place, as are unknown sections, unknown keys and keys given twice. CLI11's
/// own reader is not used because it skips what it does not understand, cuts values at a `#` inside quotes
/// and knows no line numbers.
class ConfigFile : public CLI::ConfigTOML {
 public:
  /// `app` says which sections and keys exist; it must outlive this object.
  explicit ConfigFile(const CLI::App& app) : app_(app) {}

  /// Throws CLI::ConfigError whose message is "line 3, column 6: ...".
  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override;

  /// The line that set this key of a section in the file that was read; 0 where none did.
  int line_of(const std::string& section, const std::string& key) const;

 private:
  const CLI::App& app_;
  mutable std::map<std::pair<std::string, std::string>, int> lines_;  // from_config() is const in CLI11
};

/// A configuration file with a section [train] of these values by flag names, which any reader of TOML reads.
std::string config_file_text(const Json& config);

}  // namespace bntrain::cli
