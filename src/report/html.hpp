// Pieces of a page. Text from data goes through escaped(), whatever it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bntrain::report {

/// As text between tags or in a quoted attribute; control characters and what is not UTF-8 become U+FFFD.
std::string escaped(std::string_view text);

/// JSON as it may stand in a script element: without a '<'.
std::string script_json(std::string json);

/// Base64 of the SHA-256 of the text, by which a content security policy knows a script.
std::string script_digest(std::string_view text);

/// Six digits; an en dash where it is not finite.
std::string number_text(double value);
/// 171128.4 -> "171,128", an en dash where it is not finite
std::string rounded_text(double value);
/// 171128 -> "171,128"
std::string grouped(std::int64_t number);
/// 1 -> "1 step", 171128 -> "171,128 steps"
std::string counted(std::int64_t number, const std::string& thing);
/// "2.4 s", "3 min 12 s", "1 h 04 min"
std::string duration_text(double seconds);

/// An element of a table, such as cell("td", "0.5") or cell("th scope=\"row\"", name): long text is broken
/// into lines, and beyond so many columns its middle is left out, and the title has it whole. `mark`: HTML
/// before it.
std::string cell(const std::string& tag, const std::string& text, const std::string& mark = "",
                 std::size_t most = 160);

struct HtmlTable {
  std::string caption = {};  ///< escaped here, as are all cells
  std::vector<std::string> heading = {};
  std::vector<std::vector<std::string>> rows = {};
  std::vector<std::string> marks = {};  ///< HTML before the first cell of each row
  bool text = false;                    ///< of words: cells to the left, broken where they are long
};

/// In a frame that scrolls by itself where it is wider than the page.
std::string html(const HtmlTable& table);

}  // namespace bntrain::report
