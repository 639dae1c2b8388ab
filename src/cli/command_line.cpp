#include "cli/command_line.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bntrain/error.hpp"
#include "cli/commands/commands.hpp"
#include "cli/flags/config_file.hpp"
#include "cli/flags/names.hpp"
#include "cli/flags/sources.hpp"
#include "cli/flags/values.hpp"
#include "cli/reports/output.hpp"

namespace bntrain::cli {
namespace {

using Arguments = std::vector<std::string>;

/// CLI11's, but the default comes after the description, and the environment variables, whose names follow
/// one rule, are left to the footer.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter() { column_width(36); }
  std::string make_option_opts(const CLI::Option* option) const override {
    return option->get_type_size() == 0 ? "" : " " + option->get_type_name();
  }
  std::string make_option_desc(const CLI::Option* option) const override {
    const std::string value = option->get_default_str();
    return option->get_description() + (value.empty() ? "" : " [" + value + "]");
  }
};

Arguments with_command(int argc, const char* const* argv) {
  Arguments arguments(argv + 1, argv + argc);
  const bool help =
      !arguments.empty() && (arguments[0] == "--help" || arguments[0] == "-h" || arguments[0] == "--version");
  // The name of the command is the first argument, or the first after --config FILE.
  std::size_t at = 0;
  if (!arguments.empty() && arguments[0] == "--config") at = 2;
  if (!arguments.empty() && arguments[0].starts_with("--config=")) at = 1;
  const bool named = at < arguments.size() && !arguments[at].starts_with('-');
  if (!named && !help) arguments.insert(arguments.begin(), "train");
  return arguments;
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
    print_result(app.help());
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
  } catch (const CLI::FileError& error) {
    throw Error(ErrorKind::data, std::string("--config: the file cannot be read: ") + error.what());
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
  app.set_config("--config", "", "TOML file with a section for each command, such as [train]")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)
      ->type_name("FILE");
  app.config_formatter(std::make_shared<ConfigFile>(app));
  app.require_subcommand(1);
  app.footer("bntrain COMMAND --help lists the flags of a command.");
  // In the order of the help.
  const std::vector<Run> runs = {add_train(app),     add_bench(app), add_eval(app),   add_predict(app),
                                 add_reproduce(app), add_time(app),  add_export(app), add_info(app)};

  const Arguments arguments = with_command(argc, argv);
  const Sources sources(app, arguments);
  if (!parse(app, arguments, sources)) return 0;
  const std::vector<std::string> names = command_names(app);
  const std::string& chosen = app.get_subcommands().front()->get_name();
  const auto number = static_cast<std::size_t>(std::ranges::find(names, chosen) - names.begin());
  try {
    return runs[number](sources);
  } catch (const Error& error) {
    throw sources.with_flag(error);
  }
}

}  // namespace bntrain::cli
