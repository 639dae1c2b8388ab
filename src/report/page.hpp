// A page: one file that needs no other and no network.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "report/chart.hpp"

namespace bntrain::report {

/// Collects the charts of a page as it is written.
class PageCharts {
 public:
  /// The frames of those that have something to draw, beside each other; "" where none has.
  std::string add(const std::vector<Chart>& charts, const ChartLimits& limits);
  /// What the script reads.
  std::string json() const { return "[" + json_ + "]"; }
  bool empty() const { return json_.empty(); }

 private:
  std::string json_;
};

/// The whole file. `body` is HTML; `title` is text.
std::string page(const std::string& title, const std::string& body, const PageCharts& charts);

/// What begins every file that page() makes, so that no other one is taken for it.
inline constexpr const char* page_mark = "<!DOCTYPE html><!-- made by bntrain report -->";

/// Whether the file is one that page() made. False where it cannot be read.
bool is_page(const std::filesystem::path& file);

}  // namespace bntrain::report
