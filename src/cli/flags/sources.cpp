#include "cli/flags/sources.hpp"

#include <algorithm>
#include <cstdlib>

#include "cli/flags/config_file.hpp"
#include "cli/flags/values.hpp"

namespace bntrain::cli {

int Sources::line_of(const std::string& flag) const {
  const auto* file = dynamic_cast<const ConfigFile*>(app_.get_config_formatter().get());
  const auto commands = app_.get_subcommands();
  return file == nullptr || commands.empty() ? 0 : file->line_of(commands.front()->get_name(), flag);
}

Source Sources::of(const std::string& flag) const {
  const std::string name = "--" + flag;
  const bool given = std::ranges::any_of(arguments_, [&](const std::string& argument) {
    return argument == name || argument.starts_with(name + "=");
  });
  if (given) return Source::command_line;
  if (line_of(flag) > 0) return Source::file;
  const char* value = std::getenv(environment_name(name).c_str());
  return value != nullptr && *value != '\0' ? Source::environment : Source::program;
}

std::string Sources::note(const std::string& flag) const {
  switch (of(flag)) {
    case Source::environment:
      return " (from the environment variable " + environment_name("--" + flag) + ")";
    case Source::file:
      return " (from " + app_.get_config_ptr()->as<std::string>() + ", line " +
             std::to_string(line_of(flag)) + ")";
    case Source::program:
    case Source::command_line:
      break;
  }
  return "";
}

Error Sources::with_flag(const Error& error) const {
  std::string flag = error.setting();
  if (flag.empty()) return error;
  std::ranges::replace(flag, '_', '-');
  return {error.kind(), "--" + flag, error.message() + note(flag)};
}

}  // namespace bntrain::cli
