#include "cli/flags/paths.hpp"

#include <spdlog/fmt/fmt.h>

#include <cctype>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "cli/flags/values.hpp"
#include "formats/safetensors.hpp"

namespace bntrain::cli {
namespace {

constexpr std::string_view uri_scheme = "file://";

}  // namespace

std::string percent_encoded(const std::string& bytes) {
  std::string text;
  for (const char letter : bytes) {
    const auto byte = static_cast<unsigned char>(letter);
    if (byte < 0x80 &&
        (std::isalnum(byte) != 0 || std::string_view("/-._~").find(letter) != std::string::npos))
      text += letter;
    else
      text += fmt::format("%{:02X}", byte);
  }
  return text;
}

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string bytes;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      bytes += text[at];
      continue;
    }
    unsigned char byte = 0;
    const std::string_view digits = text.substr(at + 1, 2);
    const auto [rest, error] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
    if (error != std::errc() || rest != digits.data() + 2 || byte == 0) return std::nullopt;
    bytes += static_cast<char>(byte);
    at += 2;
  }
  return bytes;
}

std::string path_of(const std::string& flag, const std::string& text) {
  if (text.starts_with(uri_scheme)) {
    const auto path = percent_decoded(std::string_view(text).substr(uri_scheme.size()));
    if (path && path->starts_with('/')) return *path;
    throw BadValue(flag, text, "allowed: file:///PATH, of an absolute path, with %XX for a byte");
  }
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
  if (valid_utf8(path) == path) return path;
  return std::string(uri_scheme) + percent_encoded(std::filesystem::absolute(path).string());
}

CLI::Option* add_path(CLI::App& app, const std::string& flag, std::string& target, const std::string& type,
                      const std::string& help) {
  const auto take = [flag, &target, type](const std::string& text) {
    target = path_of(flag, parse_text(flag, text, type));
  };
  return add_value(app, flag, type, target, help, take);
}

}  // namespace bntrain::cli
