#include "cli/reports/time_report.hpp"

#include <spdlog/fmt/fmt.h>

#include <set>

#include "bntrain/error.hpp"
#include "cli/reports/tables.hpp"
#include "core/named.hpp"

namespace bntrain::cli {
namespace {

// The columns of numbers: text_table() aligns them to the right.
const std::set<std::size_t> number_columns = {3, 4, 5, 6, 7, 8, 9, 10};

constexpr Named<StepPass> pass_names[] = {
    {"forward", StepPass::forward}, {"backward", StepPass::backward}, {"update", StepPass::update}};

double bytes_per_second(const TimedPart& part) {
  return static_cast<double>(part.cost.bytes) / part.seconds.median;
}

double flops_per_second(const TimedPart& part) {
  return static_cast<double>(part.cost.flops) / part.seconds.median;
}

double sum_of_parts(const TimeReport& report) {
  double sum = 0;
  for (const TimedPart& part : report.parts) sum += part.seconds.median;
  return sum;
}

std::string percent(double share, int decimals = 0) {
  return fmt::format("{:.{}f}%", 100 * share, decimals);
}

TableRow row_of(const TimedPart& part, const DevicePeaks& peaks) {
  const double bandwidth = bytes_per_second(part), arithmetic = flops_per_second(part);
  TableRow row{part.cost.name,
               name_of(part.cost.pass, pass_names),
               part.variant,
               fmt::format("{:.3f}", 1e3 * part.seconds.median),
               percent(part.seconds.spread()),
               percent(part.share, 1),
               "-",
               "-",
               "-",
               "-",
               "-"};
  if (part.cost.bytes > 0) {
    row[6] = fmt::format("{:.2f}", 1e-6 * static_cast<double>(part.cost.bytes));
    row[7] = fmt::format("{:.1f}", 1e-9 * bandwidth);
    row[8] = percent(bandwidth / peaks.copy_bytes_per_second);
  }
  if (part.cost.flops > 0) {
    row[9] = fmt::format("{:.1f}", 1e-9 * arithmetic);
    row[10] = percent(arithmetic / peaks.fma_flops_per_second);
  }
  return row;
}

std::string heading(const TimeReport& report) {
  std::string text = fmt::format(
      "network   {}\nbatch     {} of {}\nbackend   {}\nkernels   {}\n"
      "peaks     copy {:.1f} GB/s (bytes read + written between arrays too large for the caches), FMA {:.1f} "
      "GFLOP/s (float32 multiply-adds in registers)\n"
      "rows      ms: median of {} repetitions; spread: interquartile range; share: of the sum of the parts\n"
      "          MB and FLOP: the least that the part needs, each tensor read once and written once; above "
      "100% "
      "of copy: cached\n",
      report.network, report.batch, report.dataset, report.backend, report.variant,
      1e-9 * report.peaks.copy_bytes_per_second, 1e-9 * report.peaks.fma_flops_per_second,
      report.repetitions);
  if (report.fused_blocks) {
    text +=
        "          A convolution before a block does part of the block's work: forward its statistics "
        "and pooling,\n          backward the gradient of its input.\n";
  }
  return text;
}

}  // namespace

std::vector<TimedPart> timed_parts(const std::vector<OpTiming>& timings, const std::vector<OpCost>& costs) {
  BNTRAIN_EXPECTS(timings.size() == costs.size());
  std::vector<TimedPart> parts;
  double sum = 0;
  for (std::size_t i = 0; i < costs.size(); ++i) {
    BNTRAIN_EXPECTS(timings[i].name == costs[i].name && timings[i].pass == costs[i].pass);
    parts.push_back({costs[i], timings[i].variant, summarise(timings[i].seconds), 0});
    sum += parts.back().seconds.median;
  }
  for (TimedPart& part : parts) part.share = part.seconds.median / sum;
  return parts;
}

std::string time_table(const TimeReport& report) {
  std::vector<TableRow> rows{
      {"part", "pass", "variant", "ms", "spread", "share", "MB", "GB/s", "of copy", "GFLOP/s", "of FMA"}};
  for (const TimedPart& part : report.parts) rows.push_back(row_of(part, report.peaks));
  return fmt::format("{}\n{}\nsum of parts {:.3f} ms, whole step {:.3f} ms (spread {}): {:.0f} images/s",
                     heading(report), text_table(rows, number_columns), 1e3 * sum_of_parts(report),
                     1e3 * report.step.median, percent(report.step.spread()),
                     static_cast<double>(report.batch_size) / report.step.median);
}

Json time_record(const TimeReport& report) {
  const auto seconds = [](const Quartiles& quartiles) {
    return Json{{"median", quartiles.median},
                {"first_quartile", quartiles.first},
                {"third_quartile", quartiles.third}};
  };
  Json parts = Json::array();
  for (const TimedPart& part : report.parts) {
    const double bandwidth = bytes_per_second(part), arithmetic = flops_per_second(part);
    parts.push_back({{"name", part.cost.name},
                     {"pass", name_of(part.cost.pass, pass_names)},
                     {"variant", part.variant},
                     {"seconds", seconds(part.seconds)},
                     {"share", part.share},
                     {"bytes", part.cost.bytes},
                     {"flops", part.cost.flops},
                     {"bytes_per_second", bandwidth},
                     {"flops_per_second", arithmetic},
                     {"copy_share", bandwidth / report.peaks.copy_bytes_per_second},
                     {"fma_share", arithmetic / report.peaks.fma_flops_per_second}});
  }
  return {{"dataset", report.dataset},
          {"network", report.network},
          {"batch_size", report.batch_size},
          {"backend", report.backend},
          {"variant", report.variant},
          {"repetitions", report.repetitions},
          {"fused_blocks", report.fused_blocks},
          {"peaks",
           {{"copy_bytes_per_second", report.peaks.copy_bytes_per_second},
            {"fma_flops_per_second", report.peaks.fma_flops_per_second}}},
          {"parts", parts},
          {"sum_of_parts_seconds", sum_of_parts(report)},
          {"step_seconds", seconds(report.step)},
          {"images_per_second", static_cast<double>(report.batch_size) / report.step.median}};
}

}  // namespace bntrain::cli
