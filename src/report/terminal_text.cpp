#include "report/terminal_text.hpp"

#include <fmt/format.h>

#include "formats/safetensors.hpp"

namespace bntrain::report {
namespace {

/// The bytes of the text's letter that begins there.
std::size_t letter_size(const std::string& text, std::size_t at) {
  std::size_t size = 1;
  while (at + size < text.size() && (text[at + size] & 0xC0) == 0x80) ++size;
  return size;
}

/// As many whole letters of the text as fit.
std::string beginning(const std::string& text, std::size_t columns) {
  std::string result;
  for (std::size_t at = 0; at < text.size(); at += letter_size(text, at)) {
    const std::string longer = text.substr(0, at + letter_size(text, at));
    if (columns_of(longer) > columns) break;
    result = longer;
  }
  return result;
}

std::string ending(const std::string& text, std::size_t columns) {
  std::size_t at = 0;
  while (columns_of(text.substr(at)) > columns) at += letter_size(text, at);
  return text.substr(at);
}

}  // namespace

std::size_t columns_of(const std::string& text) {
  const std::size_t most = 2 * text.size();
  return most - (fmt::formatted_size("{:{}}", text, most) - text.size());
}

std::string shortened(const std::string& text, std::size_t columns) {
  if (columns_of(text) <= columns) return text;
  if (columns == 0) return "";
  return beginning(text, columns / 2) + "…" + ending(text, (columns - 1) / 2);
}

std::string fitted(const std::string& text, std::size_t columns) {
  const std::string kept = beginning(text, columns);
  return kept + std::string(columns - columns_of(kept), ' ');
}

std::string plain(const std::string& given) {
  const std::string name = valid_utf8(given);
  std::string text;
  for (std::size_t at = 0; at < name.size(); ++at) {
    const auto code = static_cast<unsigned char>(name[at]);
    const bool second_set =
        code == 0xC2 && at + 1 < name.size() && static_cast<unsigned char>(name[at + 1]) < 0xA0;
    if (code < 0x20 || code == 0x7F || second_set)
      text += fmt::format("\\x{:02x}", second_set ? static_cast<unsigned char>(name[++at]) : code);
    else
      text += name[at];
  }
  return text;
}

}  // namespace bntrain::report
