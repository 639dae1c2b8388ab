#include "report/history_reader.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <system_error>

#include "bntrain/error.hpp"

namespace bntrain::report {
namespace {

/// What JSON does not have, as null: NaN and infinities as other programs write them, and numbers too large
/// for a double.
std::string without_non_finite(const std::string& line) {
  std::string result;
  bool quoted = false;
  for (std::size_t at = 0; at < line.size();) {
    std::size_t length = 1;
    bool finite = true;
    if (quoted && line[at] == '\\') {
      length = 2;
    } else if (line[at] == '"') {
      quoted = !quoted;
    } else if (!quoted) {
      char* end = nullptr;
      finite = std::isfinite(std::strtod(&line[at], &end));
      length = std::max<std::size_t>(static_cast<std::size_t>(end - &line[at]), 1);
    }
    result += finite ? line.substr(at, length) : "null";
    at += length;
  }
  return result;
}

/// "3, 17 and 18", "3, 17, 18 and 5 more"
std::string first_lines(const std::vector<std::int64_t>& lines) {
  constexpr std::size_t most = 5;
  std::string text;
  for (std::size_t i = 0; i < std::min(lines.size(), most); ++i) {
    const bool last = i + 1 == lines.size();
    text += (i == 0 ? "" : last ? " and " : ", ") + std::to_string(lines[i]);
  }
  if (lines.size() > most) text += " and " + std::to_string(lines.size() - most) + " more";
  return text;
}

void expect_complete(RunHistory& history) {
  if (history.start.empty()) {
    history.missing.emplace_back(
        "The first record, with the settings, is missing: command, data, network and learning rate are not "
        "known.");
    return;
  }
  const std::string version = text_in(object_in(history.start, "versions"), "bntrain");
  if (version != BNTRAIN_VERSION) {
    history.missing.push_back(
        "The run was recorded by " + (version.empty() ? "an unknown version" : "version " + version) +
        " of bntrain, and this page is made by " BNTRAIN_VERSION "; what they call differently is left out.");
  }
}

}  // namespace

std::optional<LayerRecord> layer_record(std::string_view line) {
  LayerRecord record;
  const auto take = [&](std::string_view text) {
    const bool is_next = line.starts_with(text);
    if (is_next) line.remove_prefix(text.size());
    return is_next;
  };
  if (!line.ends_with('}')) return std::nullopt;
  record.norm = take(R"({"event":"bn","step":)");
  if (!record.norm && !take(R"({"event":"activation","step":)")) return std::nullopt;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), record.step);
  if (error != std::errc{} || record.step < 0) return std::nullopt;
  line.remove_prefix(static_cast<std::size_t>(end - line.data()));
  if (!take(R"(,"layer":")")) return std::nullopt;
  record.layer = line.substr(0, line.find('"'));
  if (record.layer.find('\\') != std::string_view::npos) return std::nullopt;
  return record;
}

bool HistoryReader::passes_over(const std::string& line) {
  const std::optional<LayerRecord> of_layer = layer_record(line);
  if (!of_layer) return false;
  const bool passed_over = history_.passes_over(*of_layer);
  std::string& last = last_[{of_layer->norm, std::string(of_layer->layer)}];
  last = passed_over ? line : "";
  return passed_over;
}

void HistoryReader::take(const std::string& line, bool whole) {
  ++number_;
  if (whole && passes_over(line)) return;
  Json record = parse_record(line);
  if (record.is_discarded()) record = parse_record(without_non_finite(line));
  if (!record.is_discarded() && history_.add(record)) return;
  if (whole)
    damaged_.push_back(number_);
  else
    history_.missing.emplace_back("The last line of the records is cut off and left out.");
}

RunHistory HistoryReader::finish() {
  for (const auto& [layer, line] : last_)
    if (!line.empty()) history_.add(parse_record(line));
  if (!damaged_.empty()) {
    history_.missing.insert(history_.missing.begin(),
                            (damaged_.size() == 1 ? "Line " : "Lines ") + first_lines(damaged_) +
                                " of the records cannot be read and " +
                                (damaged_.size() == 1 ? "is left out." : "are left out."));
  }
  expect_complete(history_);
  return std::move(history_);
}

RunHistory read_history(std::istream& lines, const std::string& name) {
  HistoryReader reader;
  for (std::string line; std::getline(lines, line);) reader.take(line, !lines.eof());
  RunHistory history = reader.finish();
  history.name = name;
  if (lines.bad()) history.missing.emplace_back("The records could not be read to their end.");
  return history;
}

RunHistory read_history(const std::filesystem::path& path, const std::string& name) {
  std::ifstream file(path, std::ios::binary);
  if (std::filesystem::is_directory(path))
    throw Error(ErrorKind::data, path.string() + ": the records cannot be read: it is a folder");
  if (!file)
    throw Error(ErrorKind::data, path.string() + ": the records cannot be read: " + std::strerror(errno));
  RunHistory history = read_history(file, name);
  if (history.start.empty() && history.last_step() == 0 && history.norms.empty())
    throw Error(ErrorKind::data, path.string() + ": none of its lines is a record of a training run");
  return history;
}

}  // namespace bntrain::report
