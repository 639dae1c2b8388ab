#include "cli/flags/config_file.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

#include "cli/flags/names.hpp"

namespace bntrain::cli {
namespace {

[[noreturn]] void refuse(const toml::source_position& where, const std::string& problem) {
  throw CLI::ConfigError(fmt::format("line {}, column {}: {}", where.line, where.column, problem));
}

[[noreturn]] void refuse(const toml::node& node, const std::string& problem) {
  refuse(node.source().begin, problem);
}

[[noreturn]] void refuse_key(const toml::key& key, const std::string& problem) {
  refuse(key.source().begin, problem);
}

/// As it would follow the flag on the command line.
std::string scalar_text(const std::string& key, const toml::node& node) {
  if (const auto* text = node.as_string()) {
    if (text->get().find('\0') != std::string::npos) refuse(node, "the text of '" + key + "' has a \\u0000");
    return text->get();
  }
  if (const auto* integer = node.as_integer()) return std::to_string(integer->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto* truth = node.as_boolean()) return truth->get() ? "true" : "false";
  if (node.is_table()) refuse(node, "'" + key + "' is a key and not a section: it needs one value");
  if (node.is_array()) refuse(node, "a list in the list of '" + key + "'; it needs plain values");
  refuse(node, "'" + key + "' has a date or a time, which no flag takes; a name that looks so needs quotes");
}

/// [0.8, 0.9] as "0.8,0.9".
std::string value_text(const std::string& key, const toml::node& node) {
  const toml::array* list = node.as_array();
  if (list == nullptr) return scalar_text(key, node);
  if (list->is_array_of_tables())
    refuse(node, "'" + key + "' is a key and not a section: it needs one value");
  if (list->empty()) refuse(node, "the list of '" + key + "' is empty");
  std::string text;
  for (const toml::node& value : *list) text += (text.empty() ? "" : ",") + scalar_text(key, value);
  return text;
}

const toml::table& section_of(const toml::key& name, const toml::node& node, const CLI::App& app) {
  const std::string section(name.str());
  const std::vector<std::string> commands = command_names(app);
  const bool known = std::ranges::find(commands, section) != commands.end();
  if (const auto* list = node.as_array(); list != nullptr && list->is_array_of_tables())
    refuse_key(name, "[[" + section + "]] begins a list of sections; write [" + section + "], once");
  if (!node.is_table() && !known)
    refuse_key(name, "'" + section + "' comes before the first section, such as [train]");
  if (!known) refuse_key(name, "unknown section [" + section + "]" + suggestion(section, commands));
  if (!node.is_table()) refuse_key(name, "[" + section + "] is a section of keys, not a value");
  return *node.as_table();
}

/// What the parser's message leaves unsaid: text without quotes, and a file of another encoding.
std::string advice(const std::string& text, const toml::parse_error& error) {
  if (error.description().find("utf-8") != std::string_view::npos)
    return "; save the file as UTF-8; a file name of other bytes is written as file:///..., with %XX for a "
           "byte";
  std::istringstream lines(text);
  std::string line;
  for (toml::source_index number = 0; number < error.source().begin.line; ++number) std::getline(lines, line);
  const std::size_t value = line.find_first_not_of(" \t", line.find('=') + 1);
  if (line.find('=') > value || value >= line.size()) return "";
  const std::string_view word = std::string_view(line).substr(value);
  const bool bare = std::isalpha(static_cast<unsigned char>(word[0])) != 0 || word.starts_with('~') ||
                    word.starts_with('/') || word.starts_with("./") || word.starts_with("../");
  if (word.starts_with("True") || word.starts_with("False")) return "; it is written true or false";
  return bare ? "; text needs quotes, as in norm = \"none\"" : "";
}

toml::table parse_toml(const std::string& text) {
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    constexpr std::string_view prefix = "Error while parsing ";
    std::string problem(error.description());
    if (problem.starts_with(prefix)) problem.erase(0, prefix.size());
    refuse(error.source().begin, problem + advice(text, error));
  }
}

}  // namespace

std::vector<CLI::ConfigItem> ConfigFile::from_config(std::istream& input) const {
  const std::string text{std::istreambuf_iterator<char>(input), {}};
  std::vector<CLI::ConfigItem> entries;
  lines_.clear();
  const toml::table sections = parse_toml(text);
  for (const auto& [section, node] : sections) {
    const std::string name(section.str());
    const toml::table& values = section_of(section, node, app_);
    const auto flags = flag_names(*app_.get_subcommand(name), "");
    for (const auto& [key, value] : values) {
      const std::string flag(key.str());
      if (std::ranges::find(flags, flag) == flags.end())
        refuse_key(key, "unknown key '" + flag + "' in [" + name + "]" + suggestion(flag, flags));
      lines_[{name, flag}] = static_cast<int>(key.source().begin.line);
      CLI::ConfigItem& item = entries.emplace_back();
      item.parents = {name};
      item.name = flag;
      item.inputs = {value_text(flag, value)};
    }
  }
  return entries;
}

std::string config_file_text(const Json& config) {
  std::ostringstream text;
  text << "[train]\n";
  for (const auto& [key, value] : config.items()) {
    std::string word = value.is_string() ? value.get<std::string>() : value.dump();
    if (word.empty()) continue;  // not given
    // TOML's integers have 64 bits with a sign, and a seed has 64 without.
    const bool large = value.is_number_unsigned() && !std::in_range<std::int64_t>(value.get<std::uint64_t>());
    if (value.is_string() || large) {
      text << toml::table{{key, std::move(word)}} << "\n";
    } else {
      text << key << " = " << word << "\n";
    }
  }
  return text.str();
}

int ConfigFile::line_of(const std::string& section, const std::string& key) const {
  const auto found = lines_.find({section, key});
  return found == lines_.end() ? 0 : found->second;
}

}  // namespace bntrain::cli
