// Options with strict values: each refusal names the flag, the value and what is allowed.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace bntrain::cli {

/// Whole numbers from `least` to `most`, both included.
struct IntegerRange {
  std::uint64_t least = 0;
  std::uint64_t most = 0;
};

/// Finite numbers between the bounds; an open bound is excluded.
struct NumberRange {
  double least = 0;
  double most = 0;
  bool open_least = false;
  bool open_most = false;
};

/// A value that an option refuses. CLI11 passes it through from the command line, the environment and the
/// configuration file alike, so it carries what is needed to say where the value came from.
class BadValue : public CLI::ParseError {
 public:
  BadValue(const std::string& flag, const std::string& value, const std::string& allowed)
      : CLI::ParseError(flag + ": '" + value + "' is not allowed; " + allowed,
                        CLI::ExitCodes::ValidationError),
        flag_(flag),
        value_(value) {}
  const std::string& flag() const { return flag_; }
  const std::string& value() const { return value_; }

 private:
  std::string flag_;
  std::string value_;
};

/// A sub-command. --config, which belongs to the program, may come after its name too.
CLI::App& add_command(CLI::App& app, const std::string& name, const std::string& description);

/// Options that `add` binds are listed under that heading in the help.
template <typename Add>
void in_group(CLI::App& command, const std::string& heading, const Add& add) {
  command.option_defaults()->group(heading);
  add();
}

/// The lines below the options in the help.
void set_footer(CLI::App& command, const std::vector<std::string>& lines);
/// For footers: the other sources of the settings of the command.
std::string sources_note(const CLI::App& command);

// The add_ functions bind one option. `flag` is "--long-name"; its environment variable is BNTRAIN_LONG_NAME;
// the target's present value is the default that the help shows.

CLI::Option* add_integer(CLI::App& app, const std::string& flag, std::int64_t& target, IntegerRange range,
                         const std::string& help);
CLI::Option* add_integer(CLI::App& app, const std::string& flag, std::uint64_t& target, IntegerRange range,
                         const std::string& help);
CLI::Option* add_integer(CLI::App& app, const std::string& flag, int& target, IntegerRange range,
                         const std::string& help);
CLI::Option* add_number(CLI::App& app, const std::string& flag, double& target, const NumberRange& range,
                        const std::string& help);
CLI::Option* add_text(CLI::App& app, const std::string& flag, std::string& target, const std::string& type,
                      const std::string& help);
CLI::Option* add_switch(CLI::App& app, const std::string& flag, bool& target, const std::string& help);

/// The whole number that `text` is, or BadValue; `also` says what else is allowed ("auto or ").
std::uint64_t parse_integer(const std::string& flag, const std::string& text, IntegerRange range,
                            const std::string& also = "");
/// A value without a flag: "MODEL". The configuration file and the environment do not know it.
CLI::Option* add_argument(CLI::App& app, const std::string& name, std::string& target,
                          const std::string& help);
/// Any number of such values.
CLI::Option* add_arguments(CLI::App& app, const std::string& name, std::vector<std::string>& target,
                           const std::string& help);

/// The number that `text` is, or BadValue.
double parse_number(const std::string& flag, const std::string& text, const NumberRange& range);

/// Binds an option to `take`, which receives its single value.
CLI::Option* add_value(CLI::App& app, const std::string& flag, const std::string& type,
                       const std::string& default_text, const std::string& help,
                       std::function<void(const std::string&)> take);

/// The parts of "a,b,c". Throws BadValue when one is empty or given twice.
std::vector<std::string> parse_list(const std::string& flag, const std::string& text);

/// Numbers with commas between them.
CLI::Option* add_numbers(CLI::App& app, const std::string& flag, std::vector<double>& target,
                         const NumberRange& range, const std::string& help);

/// "a, b or c" with `word` = "or".
std::string list_names(const std::vector<std::string>& names, const std::string& word);

template <typename Value>
std::vector<std::string> names_of(const std::vector<std::pair<std::string, Value>>& choices) {
  std::vector<std::string> names;
  names.reserve(choices.size());
  for (const auto& [name, value] : choices) names.push_back(name);
  return names;
}

/// The value of that name, or BadValue.
template <typename Value>
Value parse_choice(const std::string& flag, const std::string& text,
                   const std::vector<std::pair<std::string, Value>>& choices) {
  for (const auto& [name, value] : choices) {
    if (name == text) return value;
  }
  throw BadValue(flag, text, "allowed: " + list_names(names_of(choices), "or"));
}

template <typename Value>
std::string name_of(const Value& value, const std::vector<std::pair<std::string, Value>>& choices) {
  for (const auto& [name, named] : choices) {
    if (named == value) return name;
  }
  return "";
}

/// Binds one of several names to a value.
template <typename Value>
CLI::Option* add_choice(CLI::App& app, const std::string& flag, Value& target,
                        const std::vector<std::pair<std::string, Value>>& choices, const std::string& help) {
  const auto take = [flag, &target, choices](const std::string& text) {
    target = parse_choice(flag, text, choices);
  };
  return add_value(app, flag, CLI::detail::join(names_of(choices), "|"), name_of(target, choices), help,
                   take);
}

/// Binds several of several names, with commas between them.
template <typename Value>
CLI::Option* add_choices(CLI::App& app, const std::string& flag, std::vector<Value>& target,
                         const std::vector<std::pair<std::string, Value>>& choices, const std::string& help) {
  std::string default_text;
  for (const Value& value : target)
    default_text += (default_text.empty() ? "" : ",") + name_of(value, choices);
  const auto take = [flag, &target, choices](const std::string& text) {
    std::vector<Value> values;
    for (const std::string& part : parse_list(flag, text))
      values.push_back(parse_choice(flag, part, choices));
    target = values;
  };
  return add_value(app, flag, CLI::detail::join(names_of(choices), "|") + ",...", default_text, help, take);
}

/// BNTRAIN_BATCH_SIZE for --batch-size.
std::string environment_name(const std::string& flag);

}  // namespace bntrain::cli
