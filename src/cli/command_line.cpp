#include "cli/command_line.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bntrain/error.hpp"
#include "cli/commands/commands.hpp"
#include "cli/flags/config_file.hpp"
#include "cli/flags/names.hpp"
#include "cli/flags/paths.hpp"
#include "cli/flags/sources.hpp"
#include "cli/flags/values.hpp"
#include "cli/reports/output.hpp"
#include "cli/reports/tables.hpp"

namespace bntrain::cli {
namespace {

using Arguments = std::vector<std::string>;

/// CLI11's, but the default comes after the description, and the environment variables, whose names follow
/// one rule, are left to the footer.
class HelpFormatter : public CLI::Formatter {
 public:
  /// In a narrow terminal descriptions go below their flags.
  HelpFormatter() { column_width(output_width() < 72 ? 8 : 36); }
  std::string make_option_opts(const CLI::Option* option) const override {
    return option->get_type_size() == 0 ? "" : " " + option->get_type_name();
  }
  std::string make_option_desc(const CLI::Option* option) const override {
    const std::string value = option->get_default_str();
    return option->get_description() + (value.empty() ? "" : " [" + value + "]");
  }
};

Arguments with_command(const std::vector<std::string>& commands, int argc, const char* const* argv) {
  Arguments arguments(argv + 1, argv + argc);
  const bool help =
      !arguments.empty() && (arguments[0] == "--help" || arguments[0] == "-h" || arguments[0] == "--version");
  // "help" and "help COMMAND", as other programs with commands have it.
  if (!arguments.empty() && arguments[0] == "help" && arguments.size() <= 2) {
    if (arguments.size() == 1 || arguments[1].starts_with('-')) return {"--help"};
    if (std::ranges::find(commands, arguments[1]) == commands.end())
      return {arguments[1]};  // refused as such
    return {arguments[1], "--help"};
  }
  // The name of the command is the first argument, or the first after --config FILE.
  std::ptrdiff_t at = 0;
  if (!arguments.empty() && arguments[0] == "--config") at = 2;
  if (!arguments.empty() && arguments[0].starts_with("--config=")) at = 1;
  const bool named = at < std::ssize(arguments) && !arguments[static_cast<std::size_t>(at)].starts_with('-');
  if (named) {
    std::rotate(arguments.begin(), arguments.begin() + at, arguments.begin() + at + 1);
  } else if (!help) {
    arguments.insert(arguments.begin(), "train");
  }
  return arguments;
}

/// --config, of the command line or the environment; the latter is made the former.
void add_config(CLI::App& app, Arguments& arguments, const Sources& sources) {
  const auto is_config = [](const std::string& argument) {
    return argument == "--config" || argument.starts_with("--config=");
  };
  const auto given = std::ranges::count_if(arguments, is_config);
  if (given > 1) throw Error(ErrorKind::usage, "--config", "it names one file and is given once");
  const char* file = std::getenv("BNTRAIN_CONFIG");
  if (given == 0 && file != nullptr && *file != '\0')
    arguments.insert(arguments.begin() + 1, "--config=" + std::string(file));
  const auto expand = [&sources](const std::string& text) {
    const std::string path = path_of("--config", text);
    const std::ifstream stream(path);
    if (stream && !std::filesystem::is_directory(path)) return path;
    throw Error(ErrorKind::data, "--config", path + ": the file cannot be read" + sources.note("config"));
  };
  app.set_config("--config", "", "TOML file with a section for each command, such as [train]")
      ->transform(expand)
      ->type_name("FILE");
  app.config_formatter(std::make_shared<ConfigFile>(app));
}

/// CLI11 hands the environment to every command; what is wrong for one is none of another's business.
void leave_environment_to(const std::string& command, CLI::App& app) {
  for (CLI::App* other : app.get_subcommands({})) {
    if (other->get_name() == command) continue;
    for (CLI::Option* option : other->get_options()) option->envname("");
  }
}

/// What is left over when everything known was taken.
[[noreturn]] void refuse_extras(const CLI::App& app) {
  const auto parsed = app.get_subcommands();
  if (parsed.empty()) {
    const std::string word = app.remaining().front();
    throw Error(ErrorKind::usage, "unknown command '" + word + "'" + suggestion(word, command_names(app)) +
                                      " (the commands are " + list_names(command_names(app), "and") + ")");
  }
  const CLI::App& command = *parsed.front();
  const Arguments extras = app.remaining(true);
  const auto flag = std::find_if(extras.begin(), extras.end(), [](const std::string& extra) {
    return extra.size() > 1 && extra[0] == '-';
  });
  if (flag == extras.end()) {
    const Arguments names = argument_names(command);
    throw Error(ErrorKind::usage, "unexpected argument '" + extras.front() + "': " + command.get_name() +
                                      " takes " +
                                      (names.empty() ? "only" : list_names(names, "and") + " and") +
                                      " flags, see bntrain " + command.get_name() + " --help");
  }
  const std::string name = flag->substr(0, flag->find('='));
  throw Error(ErrorKind::usage, "unknown flag " + name + suggestion(name, flag_names(command, "--")) +
                                    " (bntrain " + command.get_name() + " --help lists all)");
}

[[noreturn]] void ask_for_arguments(const CLI::App& command) {
  throw Error(ErrorKind::usage, command.get_name() + " needs " + list_names(argument_names(command), "and") +
                                    ", see bntrain " + command.get_name() + " --help");
}

/// True when there is a command to run; false when help or version was printed.
bool parse(CLI::App& app, const Arguments& arguments, const Sources& sources) {
  try {
    Arguments reversed(arguments.rbegin(), arguments.rend());
    app.parse(reversed);
    return true;
  } catch (const CLI::CallForHelp&) {
    print_result(wrapped(app.help()));
    return false;
  } catch (const CLI::CallForVersion& version) {
    print_result(version.what());
    return false;
  } catch (const CLI::ExtrasError&) {
    refuse_extras(app);
  } catch (const CLI::RequiredError&) {
    if (!app.get_subcommands().empty()) ask_for_arguments(*app.get_subcommands().front());
    refuse_extras(app);  // no command: the first argument is none of them
  } catch (const BadValue& bad) {
    throw Error(ErrorKind::usage, bad.what() + sources.note(bad.flag().substr(2)));
  } catch (const CLI::ConfigError& error) {
    throw Error(ErrorKind::usage, app.get_config_ptr()->as<std::string>() + ": " + error.what());
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string_view message = error.what();  // "--lr: 1 required X missing"
    throw Error(ErrorKind::usage, std::string(message.substr(0, message.find(':'))) + " needs a value");
  } catch (const CLI::ParseError& error) {
    throw Error(ErrorKind::usage, error.what());
  }
}

}  // namespace

int run_command_line(int argc, const char* const* argv) {
  CLI::App app(
      "Trains image classifiers with hand-written batch normalisation.\n"
      "bntrain --epochs 5 --lr 0.2 is short for bntrain train --epochs 5 --lr 0.2.",
      "bntrain");
  app.formatter(std::make_shared<HelpFormatter>());
  app.set_version_flag("--version", "bntrain " BNTRAIN_VERSION);
  app.require_subcommand(1);
  app.footer("bntrain COMMAND --help lists the flags of a command; so does bntrain help COMMAND.");
  // In the order of the help.
  const std::vector<Run> runs = {add_train(app), add_report(app),  add_bench(app),
                                 add_eval(app),  add_predict(app), add_reproduce(app),
                                 add_time(app),  add_export(app),  add_info(app)};

  const std::vector<std::string> names = command_names(app);
  Arguments arguments = with_command(names, argc, argv);
  const Sources sources(app, arguments);
  add_config(app, arguments, sources);
  leave_environment_to(arguments.front(), app);
  if (!parse(app, arguments, sources)) return 0;
  for (const std::string& line : unknown_variables(app)) spdlog::warn("{}", line);
  const std::string& chosen = app.get_subcommands().front()->get_name();
  const auto number = static_cast<std::size_t>(std::ranges::find(names, chosen) - names.begin());
  try {
    return runs[number](sources);
  } catch (const Error& error) {
    throw sources.with_flag(error);
  }
}

}  // namespace bntrain::cli
