#include "benchmarks/norm_report.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>

namespace bntrain::benchmarks {
namespace {

using Line = std::array<std::string, 12>;
constexpr std::size_t kTextColumns = 5;  // flush left, the numbers behind them flush right

std::string percent(double share) {
  return fmt::format("{:.0f}%", 100 * share);
}

/// What is the same for all contenders that are compared.
bool same_race(const NormRow& a, const NormRow& b) {
  return a.norm_case == b.norm_case && a.pass == b.pass && a.cache == b.cache;
}

bool is_automatic(const NormRow& row) {
  return row.contender.starts_with("automatic");
}

std::string name_of(const NormRow& row) {
  return fmt::format("{} {} {} {}", to_string(row.norm_case), to_string(row.norm_case.layout),
                     to_string(row.pass), to_string(row.cache));
}

Line line_of(const NormRow& row, const NormReport& report) {
  const std::int64_t bytes = bytes_moved(row.norm_case, row.pass);
  Line line{to_string(row.norm_case),
            to_string(row.norm_case.layout),
            to_string(row.pass),
            to_string(row.cache),
            row.contender,
            "-",
            "-",
            fmt::format("{:.2f}", 1e-6 * static_cast<double>(bytes)),
            "-",
            "-",
            "-",
            row.timed() || row.wrong() ? fmt::format("{:.0e}", row.error) : "-"};
  if (!row.timed()) return line;
  const std::optional<double> faster = against_peer(row, report.rows);
  line[5] = fmt::format("{:.2f}", 1e6 * row.seconds.median);
  line[6] = percent(row.seconds.spread());
  line[8] = fmt::format("{:.0f}", 1e-9 * bytes_per_second(row));
  line[9] = percent(bytes_per_second(row) / report.copy_bytes_per_second);
  if (faster) line[10] = fmt::format("{:.2f}", *faster);
  return line;
}

std::string aligned(const std::vector<Line>& lines, const NormReport& report) {
  std::array<std::size_t, std::tuple_size_v<Line>> widths{};
  for (const Line& line : lines)
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  std::string text;
  for (std::size_t number = 0; number < lines.size(); ++number) {
    for (std::size_t i = 0; i < lines[number].size(); ++i)
      text += i < kTextColumns ? fmt::format("{:<{}}  ", lines[number][i], widths[i])
                               : fmt::format("{:>{}}  ", lines[number][i], widths[i]);
    text.resize(text.size() - 2);
    if (number > 0) {  // the heading has no row
      const NormRow& row = report.rows[number - 1];
      if (!row.timed()) text += "  " + row.refusal;
    }
    text += "\n";
  }
  return text;
}

/// "name: reached by all 4", or which rows miss it.
std::string verdict(const std::string& target, const std::vector<std::string>& missed, std::size_t judged) {
  if (judged == 0) return target + ": not judged, nothing to compare was timed\n";
  if (missed.empty()) return fmt::format("{}: reached by all {}\n", target, judged);
  return fmt::format("{}: MISSED by {} of {}:\n  {}\n", target, missed.size(), judged,
                     fmt::join(missed, "\n  "));
}

std::string targets(const NormReport& report) {
  std::vector<std::string> slow, beaten;
  std::size_t large = 0, compared = 0;
  for (const NormRow& row : report.rows) {
    if (!is_automatic(row) || !row.timed()) continue;
    const double share = bytes_per_second(row) / report.copy_bytes_per_second;
    if (cold_sets(bytes_moved(row.norm_case, row.pass), report.options.cache_bytes) == 1) {
      ++large;
      if (!(share >= kCopyTarget)) slow.push_back(name_of(row) + ", " + percent(share));
    }
    if (const std::optional<double> faster = against_peer(row, report.rows)) {
      ++compared;
      if (!(*faster >= 1)) beaten.push_back(fmt::format("{}, {:.2f}", name_of(row), *faster));
    }
  }
  return verdict(fmt::format("automatic at {} of the copy where one launch's tensors are {} times the cache",
                             percent(kCopyTarget), kCacheFill),
                 slow, large) +
         verdict("automatic not slower than cuDNN's better mode", beaten, compared);
}

}  // namespace

double bytes_per_second(const NormRow& row) {
  return static_cast<double>(bytes_moved(row.norm_case, row.pass)) / row.seconds.median;
}

std::optional<double> against_peer(const NormRow& row, const std::vector<NormRow>& rows) {
  std::optional<double> best;
  for (const NormRow& other : rows)
    if (other.is_peer && other.timed() && same_race(row, other))
      best = std::min(best.value_or(other.seconds.median), other.seconds.median);
  if (!best || !row.timed()) return std::nullopt;
  return *best / row.seconds.median;
}

bool any_wrong(const NormReport& report) {
  return std::ranges::any_of(report.rows, [](const NormRow& row) { return row.wrong(); });
}

std::string norm_table(const NormReport& report) {
  std::vector<Line> lines{{"shape", "layout", "pass", "cache", "contender", "us", "spread", "MB", "GB/s",
                           "of copy", "x cuDNN", "error"}};
  for (const NormRow& row : report.rows) lines.push_back(line_of(row, report));
  return fmt::format(
      "device  {}\nwith    {}\ncopy    {:.0f} GB/s (bytes read + written), L2 cache {:.0f} MB, seed {}\n"
      "rows    us: median of at most {} samples of a launch, timed by events around a captured graph of {} "
      "(large tensors: fewer, small "
      "ones: more); "
      "spread: "
      "interquartile range\n"
      "        MB: the least that the pass moves, 2 tensors forward and 3 backward; x cuDNN: times as fast "
      "as its "
      "better mode\n"
      "        cold: launches take turns on tensors {} times as large as the cache; hot: all on the same; "
      "error: "
      "largest relative\n"
      "        error in the Euclidean norm against double precision, at most {:.0e}\n\n{}\n{}",
      report.device, report.versions, 1e-9 * report.copy_bytes_per_second,
      1e-6 * static_cast<double>(report.options.cache_bytes), report.seed, report.options.samples,
      report.options.launches_a_sample, kCacheFill, kLargestError, aligned(lines, report), targets(report));
}

nlohmann::ordered_json norm_record(const NormReport& report) {
  using Json = nlohmann::ordered_json;
  Json rows = Json::array();
  for (const NormRow& row : report.rows) {
    Json record{{"shape", to_string(row.norm_case)},
                {"layout", to_string(row.norm_case.layout)},
                {"pass", to_string(row.pass)},
                {"cache", to_string(row.cache)},
                {"contender", row.contender},
                {"bytes", bytes_moved(row.norm_case, row.pass)},
                {"error", row.error}};
    if (row.timed()) {
      const std::optional<double> faster = against_peer(row, report.rows);
      record["seconds"] = {{"median", row.seconds.median},
                           {"first_quartile", row.seconds.first},
                           {"third_quartile", row.seconds.third}};
      record["bytes_per_second"] = bytes_per_second(row);
      record["copy_share"] = bytes_per_second(row) / report.copy_bytes_per_second;
      record["times_cudnn"] = faster ? Json(*faster) : Json(nullptr);
    } else {
      record["refusal"] = row.refusal;
    }
    rows.push_back(std::move(record));
  }
  return {{"device", report.device},
          {"versions", report.versions},
          {"multiprocessors", report.multiprocessors},
          {"compute_capability", report.compute_capability},
          {"seed", report.seed},
          {"samples", report.options.samples},
          {"launches_a_sample", report.options.launches_a_sample},
          {"cache_bytes", report.options.cache_bytes},
          {"copy_bytes_per_second", report.copy_bytes_per_second},
          {"rows", rows}};
}

}  // namespace bntrain::benchmarks
