#include "cli/flags/sources.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "cli/flags/config_file.hpp"
#include "cli/flags/names.hpp"
#include "cli/flags/values.hpp"

namespace bntrain::cli {

int Sources::line_of(const std::string& flag) const {
  const auto* file = dynamic_cast<const ConfigFile*>(app_.get_config_formatter().get());
  const auto commands = app_.get_subcommands();
  return file == nullptr || commands.empty() ? 0 : file->line_of(commands.front()->get_name(), flag);
}

std::string Sources::variable_of(const std::string& flag) const {
  const auto commands = app_.get_subcommands();
  return environment_name(commands.empty() ? app_ : *commands.front(), "--" + flag);
}

Source Sources::of(const std::string& flag) const {
  const std::string name = "--" + flag;
  const bool given = std::ranges::any_of(arguments_, [&](const std::string& argument) {
    return argument == name || argument.starts_with(name + "=");
  });
  if (given) return Source::command_line;
  if (line_of(flag) > 0) return Source::file;
  const char* value = std::getenv(variable_of(flag).c_str());
  return value != nullptr && *value != '\0' ? Source::environment : Source::program;
}

std::string Sources::note(const std::string& flag) const {
  switch (of(flag)) {
    case Source::environment:
      return " (from the environment variable " + variable_of(flag) + ")";
    case Source::file:
      return " (from " + app_.get_config_ptr()->as<std::string>() + ", line " +
             std::to_string(line_of(flag)) + ")";
    case Source::program:
    case Source::command_line:
      break;
  }
  return "";
}

std::vector<std::string> unknown_variables(const CLI::App& app) {
  // The later ones are read by scripts.
  std::vector<std::string> known = {"BNTRAIN_CONFIG", "BNTRAIN_TUNINGS", "BNTRAIN_BUILD_REPORT_SECONDS"};
  for (const CLI::App* command : app.get_subcommands({}))
    for (const std::string& flag : flag_names(*command, "--"))
      known.push_back(environment_name(*command, flag));
  std::vector<std::string> lines;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view variable = *entry;
    const std::string name(variable.substr(0, variable.find('=')));
    if (!name.starts_with("BNTRAIN_") || std::ranges::find(known, name) != known.end()) continue;
    lines.push_back("the environment variable " + name + " is no setting and is ignored" +
                    suggestion(name, known));
  }
  return lines;
}

Error Sources::with_flag(const Error& error) const {
  std::string flag = error.setting();
  if (flag.empty()) return error;
  std::ranges::replace(flag, '_', '-');
  return {error.kind(), "--" + flag, error.message() + note(flag)};
}

}  // namespace bntrain::cli
