#include "cli/flags/config_file.hpp"

#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>

#include "cli/flags/names.hpp"

namespace bntrain::cli {
namespace {

struct BadLine {
  std::string message;
};

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

void expect_end(std::string_view rest) {
  rest = trimmed(rest);
  if (!rest.empty() && rest.front() != '#')
    throw BadLine{"unexpected '" + std::string(rest) + "' after the value"};
}

// What takes a value from the front of `text` leaves there what follows it.

std::string take_quoted(std::string_view& text) {
  const char quote = text.front();
  std::string value;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == quote) {
      text.remove_prefix(i + 1);
      return value;
    }
    if (quote == '"' && text[i] == '\\') {
      constexpr std::string_view names = "\"\\ntr", letters = "\"\\\n\t\r";
      const std::size_t escape = ++i < text.size() ? names.find(text[i]) : std::string_view::npos;
      if (escape == std::string_view::npos)
        throw BadLine{"only \", \\, n, t or r may follow a backslash; '...' takes text as it is"};
      value += letters[escape];
    } else {
      value += text[i];
    }
  }
  throw BadLine{"the quote is not closed"};
}

std::string take_bare(std::string_view& text) {
  const auto end = std::min(text.find_first_of(" \t#,]"), text.size());
  std::string value(text.substr(0, end));
  const std::size_t sign = value.starts_with('-') || value.starts_with('+') ? 1 : 0;
  const bool number = sign < value.size() && std::isdigit(static_cast<unsigned char>(value[sign])) != 0;
  if (!number && value != "true" && value != "false") {
    throw BadLine{"'" + value + "' is not a number, true or false; text needs quotes: \"" + value + "\""};
  }
  text.remove_prefix(end);
  return value.starts_with('+') ? value.substr(1) : value;
}

std::string take_scalar(std::string_view& text) {
  text = trimmed(text);
  if (text.empty() || text.front() == '#') throw BadLine{"the value is missing"};
  return text.front() == '"' || text.front() == '\'' ? take_quoted(text) : take_bare(text);
}

/// "[0.8, 0.9]" as "0.8,0.9".
std::string take_list(std::string_view& text) {
  std::string values;
  do {
    text = trimmed(text.substr(1));
    if (!values.empty() && text.starts_with(']')) break;  // after a last comma
    if (text.empty() || text.front() == ',' || text.front() == ']')
      throw BadLine{"a list needs values with commas between them, on one line"};
    values += (values.empty() ? "" : ",") + take_scalar(text);
    text = trimmed(text);
  } while (text.starts_with(','));
  if (!text.starts_with(']')) throw BadLine{"a list's value is followed by , or ] on the same line"};
  text.remove_prefix(1);
  return values;
}

std::string parse_value(std::string_view text) {
  text = trimmed(text);
  std::string value = text.starts_with('[') ? take_list(text) : take_scalar(text);
  expect_end(text);
  return value;
}

std::string parse_section(std::string_view line, const CLI::App& app) {
  const auto close = line.find(']');
  if (close == std::string_view::npos) throw BadLine{"the section's ] is missing"};
  expect_end(line.substr(close + 1));
  std::string name(trimmed(line.substr(1, close - 1)));
  const auto commands = command_names(app);
  if (std::find(commands.begin(), commands.end(), name) == commands.end()) {
    throw BadLine{"unknown section [" + name + "]" + suggestion(name, commands)};
  }
  return name;
}

CLI::ConfigItem parse_entry(std::string_view line, const std::string& section, const CLI::App& app) {
  const auto equals = line.find('=');
  if (equals == std::string_view::npos)
    throw BadLine{"expected key = value, found '" + std::string(line) + "'"};
  CLI::ConfigItem item;
  item.name = std::string(trimmed(line.substr(0, equals)));
  if (section.empty()) throw BadLine{"'" + item.name + "' comes before the first section, such as [train]"};
  const auto keys = flag_names(*app.get_subcommand(section), "");
  if (std::find(keys.begin(), keys.end(), item.name) == keys.end()) {
    throw BadLine{"unknown key '" + item.name + "' in [" + section + "]" + suggestion(item.name, keys)};
  }
  item.parents = {section};
  item.inputs = {parse_value(line.substr(equals + 1))};
  return item;
}

}  // namespace

std::vector<CLI::ConfigItem> ConfigFile::from_config(std::istream& input) const {
  std::vector<CLI::ConfigItem> entries;
  std::string section, text;
  lines_.clear();
  for (int number = 1; std::getline(input, text); ++number) {
    const std::string_view line = trimmed(text);
    if (line.empty() || line.front() == '#') continue;
    try {
      if (line.front() == '[') {
        section = parse_section(line, app_);
        continue;
      }
      CLI::ConfigItem item = parse_entry(line, section, app_);
      if (!lines_.emplace(std::pair(section, item.name), number).second)
        throw BadLine{"'" + item.name + "' is given twice"};
      entries.push_back(std::move(item));
    } catch (const BadLine& bad) {
      throw CLI::ConfigError("line " + std::to_string(number) + ": " + bad.message);
    }
  }
  return entries;
}

int ConfigFile::line_of(const std::string& section, const std::string& key) const {
  const auto found = lines_.find({section, key});
  return found == lines_.end() ? 0 : found->second;
}

}  // namespace bntrain::cli
