#include "report/page.hpp"

#include <fstream>

#include "report/html.hpp"
#include "report/page_files.hpp"

namespace bntrain::report {
namespace {

std::string script(std::string_view text) {
  return "<script>" + std::string(text) + "</script>\n";
}

/// Nothing may be fetched, and no script runs but the program's own: whatever comes through with the data.
std::string policy() {
  std::string scripts;
  for (const std::string_view text : {chart_library, page_js})
    scripts += " 'sha256-" + script_digest(text) + "'";
  return "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
         "style-src 'unsafe-inline'; script-src" +
         scripts + "\">\n";
}

}  // namespace

std::string PageCharts::add(const std::vector<Chart>& charts, const ChartLimits& limits) {
  std::string figures;
  for (const Chart& chart : charts) {
    if (!has_values(chart)) continue;
    json_ += (json_.empty() ? "" : ",\n") + chart_json(chart, limits);
    figures += chart_html(chart, limits);
  }
  return figures.empty() ? "" : "<div class=\"charts\">\n" + figures + "</div>\n";
}

bool is_page(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::string line;
  return std::getline(stream, line) && line == page_mark;
}

std::string page(const std::string& title, const std::string& body, const PageCharts& charts) {
  std::string text = page_mark;
  text += "\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n" + policy() +
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
          escaped(title) + "</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>\n" +
          std::string(page_css) +
          "</style>\n<noscript><style>.plot, input { display: none; }</style></noscript>\n</head>\n<body>\n" +
          body;
  if (!charts.empty() && !chart_library.empty()) {
    text += "<!--\n" + std::string(chart_license) + "-->\n<script type=\"application/json\" id=\"charts\">" +
            script_json(charts.json()) + "</script>\n" + script(chart_library) + script(page_js);
  } else {
    text += "<style>.plot, input { display: none; }</style>\n";
  }
  return text + "</body>\n</html>\n";
}

}  // namespace bntrain::report
