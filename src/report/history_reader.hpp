// Records of a training run, line by line.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "report/run_history.hpp"

namespace bntrain::report {

/// Read without parsing the rest, which takes ten times as long. Nothing for any other line, and one that is
/// not as this program writes it.
std::optional<LayerRecord> layer_record(std::string_view line);

class HistoryReader {
 public:
  /// The line without its end; `whole`: it had one. Never throws for what it holds.
  void take(const std::string& line, bool whole = true);
  /// Whether the line is one that take() parses only if no later one of its layer comes, and is taken so.
  bool passes_over(const std::string& line);
  /// One that was parsed already.
  void take(const Json& record) { history_.add(record); }
  /// At the end, once. The history has no name yet.
  RunHistory finish();

 private:
  RunHistory history_;
  std::int64_t number_ = 0;
  std::vector<std::int64_t> damaged_;
  std::map<std::pair<bool, std::string>, std::string> last_;  // of the layers, where they were passed over
};

}  // namespace bntrain::report
