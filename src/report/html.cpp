#include "report/html.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "formats/safetensors.hpp"
#include "report/terminal_text.hpp"

namespace bntrain::report {
namespace {

constexpr double most_whole = 1e15;  // a double still counts there

}  // namespace

std::string escaped(std::string_view text) {
  const bool ascii =
      std::ranges::all_of(text, [](char letter) { return static_cast<unsigned char>(letter) < 0x80; });
  const std::string valid = ascii ? "" : valid_utf8(std::string(text));
  if (!ascii) text = valid;
  std::string result;
  for (const char letter : text) {
    switch (letter) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\'':
        result += "&#39;";
        break;
      default: {
        const auto code = static_cast<unsigned char>(letter);
        const bool control = (code < 0x20 && letter != '\n' && letter != '\t') || code == 0x7F;
        result += control ? "\xEF\xBF\xBD" : std::string(1, letter);
      }
    }
  }
  return result;
}

std::string script_json(std::string json) {
  for (std::size_t at = 0; (at = json.find('<', at)) != std::string::npos;) json.replace(at, 1, "\\u003c");
  return json;
}

std::string script_digest(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr);
  std::array<unsigned char, 2 * EVP_MAX_MD_SIZE> encoded{};
  const int length = EVP_EncodeBlock(encoded.data(), digest.data(), static_cast<int>(size));
  return {encoded.begin(), encoded.begin() + length};
}

std::string number_text(double value) {
  return std::isfinite(value) ? fmt::format("{:.6g}", value) : "–";
}

std::string rounded_text(double value) {
  return std::abs(value) < most_whole ? grouped(std::llround(value)) : number_text(value);
}

std::string grouped(std::int64_t number) {
  std::string text = std::to_string(number);
  for (auto place = static_cast<std::int64_t>(text.size()) - 3; place > 0; place -= 3)
    text.insert(static_cast<std::size_t>(place), ",");
  return text;
}

std::string counted(std::int64_t number, const std::string& thing) {
  return grouped(number) + " " + thing + (number == 1 ? "" : "s");
}

std::string duration_text(double seconds) {
  if (!(std::abs(seconds) < most_whole)) return number_text(seconds);
  if (seconds < 59.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<std::int64_t>(std::round(seconds));
  return whole < 3600 ? fmt::format("{} min {:02} s", whole / 60, whole % 60)
                      : fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

std::string cell(const std::string& tag, const std::string& text, const std::string& mark, std::size_t most) {
  constexpr std::size_t most_unbroken = 32;
  if (text.size() <= most_unbroken) return "<" + tag + ">" + mark + escaped(text);
  const std::string shown = shortened(text, most);
  return "<" + tag + " class=\"long\"" + (shown == text ? "" : " title=\"" + escaped(text) + "\"") + ">" +
         mark + escaped(shown);
}

std::string html(const HtmlTable& table) {
  const auto element = [&](const std::string& tag, const std::string& text, const std::string& mark = "") {
    return table.text ? "<" + tag + ">" + mark + escaped(text) : cell(tag, text, mark);
  };
  std::string result =
      table.text ? "<div class=\"wide\"><table class=\"text\">" : "<div class=\"wide\"><table>";
  if (!table.caption.empty()) result += "<caption>" + escaped(table.caption) + "</caption>";
  if (!table.heading.empty()) {
    result += "<thead><tr>";
    for (const std::string& text : table.heading) result += element("th scope=\"col\"", text);
    result += "</thead>";
  }
  result += "<tbody>";
  for (std::size_t number = 0; number < table.rows.size(); ++number) {
    const std::vector<std::string>& row = table.rows[number];
    const std::string mark = number < table.marks.size() ? table.marks[number] : "";
    result += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i)
      result += i == 0 ? element("th scope=\"row\"", row[i], mark) : element("td", row[i]);
    result += "\n";
  }
  return result + "</table></div>\n";
}

}  // namespace bntrain::report
