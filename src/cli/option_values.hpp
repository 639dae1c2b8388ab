// Options with strict values: each refusal names the flag, the value and what is allowed.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace bntrain::cli {

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

/// A value without a flag: "MODEL". The configuration file and the environment do not know it.
CLI::Option* add_argument(CLI::App& app, const std::string& name, std::string& target,
                          const std::string& help);
/// Any number of such values.
CLI::Option* add_arguments(CLI::App& app, const std::string& name, std::vector<std::string>& target,
                           const std::string& help);

/// The number that `text` is, or BadValue.
std::uint64_t parse_integer(const std::string& flag, const std::string& text, IntegerRange range);
double parse_number(const std::string& flag, const std::string& text, const NumberRange& range);

/// Binds an option to `take`, which receives its single value.
CLI::Option* add_value(CLI::App& app, const std::string& flag, const std::string& type,
                       const std::string& default_text, const std::string& help,
                       std::function<void(const std::string&)> take);

/// "a, b or c" with `word` = "or".
std::string list_names(const std::vector<std::string>& names, const std::string& word);

/// Binds one of several names to a value.
template <typename Value>
CLI::Option* add_choice(CLI::App& app, const std::string& flag, Value& target,
                        const std::vector<std::pair<std::string, Value>>& choices, const std::string& help) {
  std::vector<std::string> names;
  std::string default_name;
  for (const auto& [name, value] : choices) {
    names.push_back(name);
    if (value == target) default_name = name;
  }
  const auto take = [flag, &target, choices, names](const std::string& text) {
    for (const auto& [name, value] : choices) {
      if (name == text) {
        target = value;
        return;
      }
    }
    throw BadValue(flag, text, "allowed: " + list_names(names, "or"));
  };
  return add_value(app, flag, CLI::detail::join(names, "|"), default_name, help, take);
}

/// BNTRAIN_BATCH_SIZE for --batch-size.
std::string environment_name(const std::string& flag);

}  // namespace bntrain::cli
