// Options with strict values: each refusal names the flag, the value and what is allowed.
#pragma once

#include <CLI/CLI.hpp>
#include <concepts>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/named.hpp"

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
/// configuration file alike; the flag tells which, see Sources.
class BadValue : public CLI::ParseError {
 public:
  BadValue(const std::string& flag, const std::string& value, const std::string& allowed)
      : CLI::ParseError(flag + ": '" + value + "' is not allowed; " + allowed,
                        CLI::ExitCodes::ValidationError),
        flag_(flag) {}
  const std::string& flag() const { return flag_; }

 private:
  std::string flag_;
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

// The add_ functions bind one option. `flag` is "--long-name"; its environment variable is
// environment_name(); the target's present value is the default that the help shows.

CLI::Option* add_number(CLI::App& app, const std::string& flag, double& target, const NumberRange& range,
                        const std::string& help);
CLI::Option* add_text(CLI::App& app, const std::string& flag, std::string& target, const std::string& type,
                      const std::string& help);
CLI::Option* add_switch(CLI::App& app, const std::string& flag, bool& target, const std::string& help);

/// The whole number that `text` is, or BadValue; `also` says what else is allowed ("auto or ").
std::uint64_t parse_integer(const std::string& flag, const std::string& text, IntegerRange range,
                            const std::string& also = "");
/// The text, or BadValue where it is empty or looks like a flag.
std::string parse_text(const std::string& flag, const std::string& text, const std::string& type);

/// A value without a flag, "MODEL", or any number of them where the target is a list. The configuration file
/// and the environment do not know it.
template <class Target>
CLI::Option* add_argument(CLI::App& app, const std::string& name, Target& target, const std::string& help) {
  return app.add_option(name, target, help)->type_name("");
}

/// The number that `text` is, or BadValue.
double parse_number(const std::string& flag, const std::string& text, const NumberRange& range);

/// Binds an option to `take`, which receives its single value. `flag` may have a short name before it,
/// "-o,--output".
CLI::Option* add_value(CLI::App& app, const std::string& flag, const std::string& type,
                       const std::string& default_text, const std::string& help,
                       std::function<void(const std::string&)> take);

template <std::integral Integer>
CLI::Option* add_integer(CLI::App& app, const std::string& flag, Integer& target, IntegerRange range,
                         const std::string& help) {
  const auto take = [flag, &target, range](const std::string& text) {
    target = static_cast<Integer>(parse_integer(flag, text, range));
  };
  return add_value(app, flag, "N", std::to_string(target), help, take);
}

/// The parts of "a,b,c". Throws BadValue when one is empty or given twice.
std::vector<std::string> parse_list(const std::string& flag, const std::string& text);

/// Names with commas between them; the flag may be repeated.
CLI::Option* add_names(CLI::App& app, const std::string& flag, std::vector<std::string>& target,
                       const std::string& type, const std::string& help);

/// Numbers with commas between them.
CLI::Option* add_numbers(CLI::App& app, const std::string& flag, std::vector<double>& target,
                         const NumberRange& range, const std::string& help);

/// "a, b or c" with `word` = "or".
std::string list_names(const std::vector<std::string>& names, const std::string& word);

template <class Value>
using Choices = std::span<const Named<Value>>;

template <class Value>
std::vector<std::string> names_of(Choices<Value> choices) {
  std::vector<std::string> names;
  for (const Named<Value>& choice : choices) names.emplace_back(choice.name);
  return names;
}

/// The value of that name, or BadValue.
template <class Value>
Value parse_choice(const std::string& flag, const std::string& text, Choices<Value> choices) {
  for (const auto& [name, value] : choices)
    if (name == text) return value;
  throw BadValue(flag, text, "allowed: " + list_names(names_of(choices), "or"));
}

/// Several values by their names with commas between them, or BadValue, which says what is `allowed` if that
/// is given.
template <class Value>
std::vector<Value> parse_choices(const std::string& flag, const std::string& text, Choices<Value> choices,
                                 const std::string& allowed = "") {
  try {
    std::vector<Value> values;
    for (const std::string& part : parse_list(flag, text))
      values.push_back(parse_choice(flag, part, choices));
    return values;
  } catch (const BadValue&) {
    if (allowed.empty()) throw;
    throw BadValue(flag, text, allowed);
  }
}

/// Binds one of several names to a value.
template <class Value, std::size_t count>
CLI::Option* add_choice(CLI::App& app, const std::string& flag, Value& target,
                        const Named<Value> (&table)[count], const std::string& help) {
  const std::vector<Named<Value>> choices(std::begin(table), std::end(table));
  const auto take = [flag, &target, choices](const std::string& text) {
    target = parse_choice<Value>(flag, text, choices);
  };
  return add_value(app, flag, CLI::detail::join(names_of<Value>(choices), "|"), name_of(target, table), help,
                   take);
}

/// BNTRAIN_BATCH_SIZE for --batch-size; BNTRAIN_REPORT_CSV for --csv of report, which means something else
/// than that of eval.
std::string environment_name(const CLI::App& command, const std::string& flag);

}  // namespace bntrain::cli
