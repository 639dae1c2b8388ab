#include "cli/flags/paths.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>

#include "cli/flags/values.hpp"

namespace bntrain::cli {
namespace {

constexpr std::string_view uri_scheme = "file://";

bool is_utf8(const std::string& text) {
  try {
    return !nlohmann::json(text).dump().empty();
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

std::string from_uri(const std::string& flag, const std::string& uri) {
  std::string path;
  const char* const end = uri.data() + uri.size();
  for (const char* next = uri.data() + uri_scheme.size(); next < end; ++next) {
    unsigned char byte = static_cast<unsigned char>(*next);
    if (*next == '%') {
      const auto [rest, error] = std::from_chars(next + 1, std::min(next + 3, end), byte, 16);
      if (error != std::errc() || rest != next + 3 || byte == 0)
        throw BadValue(flag, uri, "after % come two hexadecimal digits of a byte that is not 00");
      next += 2;
    }
    path += static_cast<char>(byte);
  }
  if (!path.starts_with('/')) throw BadValue(flag, uri, "allowed: file:///PATH, of an absolute path");
  return path;
}

std::string to_uri(const std::string& path) {
  std::string uri(uri_scheme);
  for (const char letter : std::filesystem::absolute(path).string()) {
    const auto byte = static_cast<unsigned char>(letter);
    if (byte < 0x80 &&
        (std::isalnum(byte) != 0 || std::string_view("/-._~").find(letter) != std::string::npos))
      uri += letter;
    else
      uri += fmt::format("%{:02X}", byte);
  }
  return uri;
}

}  // namespace

std::string path_of(const std::string& flag, const std::string& text) {
  if (text.starts_with(uri_scheme)) return from_uri(flag, text);
  if (!text.starts_with('~')) return text;
  if (text.size() > 1 && text[1] != '/') {
    throw BadValue(flag, text,
                   "~ alone is the home directory; write out that of another user, and ./" + text +
                       " for a file of that name");
  }
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0')
    throw BadValue(flag, text, "the variable HOME is not set; write the path out");
  return home + text.substr(1);
}

std::string path_text(const std::string& path) {
  return is_utf8(path) ? path : to_uri(path);
}

CLI::Option* add_path(CLI::App& app, const std::string& flag, std::string& target, const std::string& type,
                      const std::string& help) {
  const auto take = [flag, &target, type](const std::string& text) {
    target = path_of(flag, parse_text(flag, text, type));
  };
  return add_value(app, flag, type, target, help, take);
}

}  // namespace bntrain::cli
