#include "cli/flags/values.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <optional>
#include <sstream>

namespace bntrain::cli {
namespace {

// The whole text or nothing: "5x", " 5", "+5", "1e3" for an integer and overflow are all refused.
template <typename Value>
std::optional<Value> parse_strictly(const std::string& text) {
  Value value{};
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || rest != end) return std::nullopt;
  return value;
}

std::string describe(const NumberRange& range) {
  return fmt::format("allowed: a number {} {} and {} {}", range.open_least ? "above" : "of at least",
                     range.least, range.open_most ? "below" : "at most", range.most);
}

bool contains(const NumberRange& range, double value) {
  return std::isfinite(value) && (range.open_least ? value > range.least : value >= range.least) &&
         (range.open_most ? value < range.most : value <= range.most);
}

}  // namespace

std::uint64_t parse_integer(const std::string& flag, const std::string& text, IntegerRange range,
                            const std::string& also) {
  const auto value = parse_strictly<std::uint64_t>(text);
  if (value && *value >= range.least && *value <= range.most) return *value;
  throw BadValue(flag, text,
                 fmt::format("allowed: {}a whole number from {} to {}", also, range.least, range.most));
}

double parse_number(const std::string& flag, const std::string& text, const NumberRange& range) {
  const auto value = parse_strictly<double>(text);
  if (!value || !contains(range, *value)) throw BadValue(flag, text, describe(range));
  return *value;
}

std::string parse_text(const std::string& flag, const std::string& text, const std::string& type) {
  // "--save --json" would otherwise write a file called "--json".
  if (!text.empty() && !text.starts_with("--")) return text;
  throw BadValue(flag, text,
                 "it needs a value (" + type + "); a name that begins with -- is written ./--name");
}

std::string environment_name(const CLI::App& command, const std::string& flag) {
  std::string name = "BNTRAIN_", words = flag.substr(2);
  // A variable is for all commands, and these flags are not of one meaning in all of them.
  if (command.get_name() == "report" && (words == "csv" || words == "output")) words.insert(0, "report-");
  for (const char letter : words) {
    name += letter == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
  }
  return name;
}

CLI::App& add_command(CLI::App& app, const std::string& name, const std::string& description) {
  CLI::App& command = *app.add_subcommand(name, description);
  command.fallthrough();
  command.footer("");  // else it would have the program's
  return command;
}

void set_footer(CLI::App& command, const std::vector<std::string>& lines) {
  command.footer(CLI::detail::join(lines, "\n"));
}

std::string sources_note(const CLI::App& command) {
  const std::string flag = command.get_option_no_throw("--threads") != nullptr ? "--threads" : "--csv";
  return "Each flag can also be an environment variable (" + environment_name(command, flag) + " for " +
         flag + ") or a key of the [" + command.get_name() +
         "]\nsection in the file that --config names. Environment < file < flag.";
}

namespace {

/// An option that receives all its values at once.
CLI::Option* add_values(CLI::App& app, const std::string& flag, const std::string& type,
                        const std::string& default_text, const std::string& help,
                        std::function<void(const std::vector<std::string>&)> take) {
  const std::string name = flag.substr(flag.find("--"));
  const CLI::callback_t callback = [take = std::move(take)](const CLI::results_t& values) {
    take(values);
    return true;
  };
  return app.add_option(flag, callback, help)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->type_name(type)
      ->default_str(default_text)
      ->envname(environment_name(app, name));
}

}  // namespace

CLI::Option* add_value(CLI::App& app, const std::string& flag, const std::string& type,
                       const std::string& default_text, const std::string& help,
                       std::function<void(const std::string&)> take) {
  const std::string name = flag.substr(flag.find("--"));
  // With CLI11's default policy a repeated flag is refused in CLI11's words; this way it is in ours.
  return add_values(app, flag, type, default_text, help,
                    [name, take = std::move(take)](const std::vector<std::string>& values) {
                      if (values.size() != 1)
                        throw BadValue(name, CLI::detail::join(values, " "),
                                       "it takes one value, given once");
                      take(values.front());
                    });
}

CLI::Option* add_names(CLI::App& app, const std::string& flag, std::vector<std::string>& target,
                       const std::string& type, const std::string& help) {
  return add_values(app, flag, type, "", help, [flag, &target](const std::vector<std::string>& values) {
    target = parse_list(flag, CLI::detail::join(values, ","));
  });
}

CLI::Option* add_number(CLI::App& app, const std::string& flag, double& target, const NumberRange& range,
                        const std::string& help) {
  const auto take = [flag, &target, range](const std::string& text) {
    target = parse_number(flag, text, range);
  };
  return add_value(app, flag, "X", fmt::format("{}", target), help, take);
}

CLI::Option* add_text(CLI::App& app, const std::string& flag, std::string& target, const std::string& type,
                      const std::string& help) {
  const auto take = [flag, &target, type](const std::string& text) { target = parse_text(flag, text, type); };
  return add_value(app, flag, type, target, help, take);
}

CLI::Option* add_switch(CLI::App& app, const std::string& flag, bool& target, const std::string& help) {
  // CLI11 alone would take "7x" for true.
  const auto check = [flag](const std::string& text) -> std::string {
    if (text == "true" || text == "false" || text == "1" || text == "0") return "";
    throw BadValue(flag, text, "allowed: true or false");
  };
  return app.add_flag(flag, target, help)->check(check)->envname(environment_name(app, flag));
}

std::vector<std::string> parse_list(const std::string& flag, const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream words(text + ",");  // with the comma an empty last word is one too
  for (std::string part; std::getline(words, part, ',');) {
    if (part.empty()) throw BadValue(flag, text, "it needs values with single commas between them");
    if (std::ranges::find(parts, part) != parts.end()) throw BadValue(flag, text, part + " is given twice");
    parts.push_back(part);
  }
  return parts;
}

CLI::Option* add_numbers(CLI::App& app, const std::string& flag, std::vector<double>& target,
                         const NumberRange& range, const std::string& help) {
  const auto take = [flag, &target, range](const std::string& text) {
    std::vector<double> values;
    for (const std::string& part : parse_list(flag, text)) {
      const double value = parse_number(flag, part, range);
      if (std::find(values.begin(), values.end(), value) != values.end()) {
        throw BadValue(flag, text, part + " is given twice");
      }
      values.push_back(value);
    }
    target = values;
  };
  return add_value(app, flag, "X,...", fmt::format("{}", fmt::join(target, ",")), help, take);
}

std::string list_names(const std::vector<std::string>& names, const std::string& word) {
  std::string list;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) list += i + 1 == names.size() ? " " + word + " " : ", ";
    list += names[i];
  }
  return list;
}

}  // namespace bntrain::cli
