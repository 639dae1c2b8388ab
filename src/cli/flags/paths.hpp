// File names as settings: what a shell would have expanded, and names that no text file can hold.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace bntrain::cli {

/// The file name that the value of a flag means. A leading ~ is HOME, also in files and variables, which no
/// shell sees; file:///... is the URI of an absolute path (RFC 8089), whose %XX are bytes. Throws BadValue,
/// where there is no HOME and for ~user.
std::string path_of(const std::string& flag, const std::string& text);

/// What path_of() reads back: the name itself, or its URI where it is not UTF-8.
std::string path_text(const std::string& path);

/// %XX for every byte but letters, digits and /-._~.
std::string percent_encoded(const std::string& bytes);
/// Nothing for what percent_encoded() does not write.
std::optional<std::string> percent_decoded(std::string_view text);

/// Binds a file name, as add_text() does a text.
CLI::Option* add_path(CLI::App& app, const std::string& flag, std::string& target, const std::string& type,
                      const std::string& help);

}  // namespace bntrain::cli
