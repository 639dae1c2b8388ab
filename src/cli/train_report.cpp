#include "cli/train_report.hpp"

#include <spdlog/fmt/fmt.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "bntrain/error.hpp"
#include "cli/logging.hpp"

namespace bntrain::cli {
namespace {

// File names need not be UTF-8; a replaced character is better than no record.
std::string one_line(const Json& record) {
  return record.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

void print_result(const std::string& line) {
  if (std::fputs((line + "\n").c_str(), stdout) < 0 || std::fflush(stdout) != 0) {
    throw Error(ErrorKind::runtime,
                std::string("the results cannot be written to stdout: ") + std::strerror(errno));
  }
}

std::string epoch_line(const EpochResult& epoch, std::int64_t steps_per_epoch) {
  const std::string train = fmt::format("Epoch {}. Loss: {:.6f}, Train acc {:.6f}", epoch.epoch,
                                        epoch.train.loss, epoch.train.accuracy);
  const std::string speed =
      fmt::format("{:.2f} s, {:.0f} images/s", epoch.train_seconds, images_per_second(epoch));
  if (epoch.test.count == 0) {
    return fmt::format("{} (interrupted after {} of {} steps, {})", train,
                       epoch.steps - epoch.epoch * steps_per_epoch, steps_per_epoch, speed);
  }
  return fmt::format("{}, Test acc {:.6f} ({})", train, epoch.test.accuracy, speed);
}

TrainReport::TrainReport(const TrainOptions& options, const Trainer& trainer, const Json& start)
    : options_(options),
      steps_per_epoch_(trainer.steps_per_epoch()),
      progress_(stderr_terminal().progress && !options.quiet, trainer.total_steps()) {
  if (options.config.metrics.empty()) return;
  metrics_.open(options.config.metrics, std::ios::trunc);
  write_metrics(start);
}

void TrainReport::on_steps(std::int64_t epoch, std::int64_t first_step,
                           const std::vector<StepMetrics>& steps) {
  if (steps.empty()) return;
  progress_.update(epoch, first_step + static_cast<std::int64_t>(steps.size()), steps.back().loss());
  if (options_.config.log_every == 0) return;
  for (const StepMetrics& step : steps) write_metrics(step_record(epoch, first_step++, step));
}

void TrainReport::on_record(const StepRecord& record) {
  for (const Json& look : look_records(record)) write_metrics(look);
}

void TrainReport::on_epoch(const EpochResult& epoch) {
  const Json record = epoch_record(epoch);
  progress_.clear();
  print_result(options_.json ? one_line(record) : epoch_line(epoch, steps_per_epoch_));
  write_metrics(record);
}

void TrainReport::on_end(const TrainResult& result) {
  const Json record = end_record(result);
  progress_.clear();
  if (options_.json) print_result(one_line(record));
  write_metrics(record);
}

void TrainReport::write_metrics(const Json& record) {
  if (options_.config.metrics.empty()) return;
  metrics_ << one_line(record) << std::endl;
  if (!metrics_) {
    throw Error(ErrorKind::runtime,
                "--metrics: " + options_.config.metrics + " cannot be written: " + std::strerror(errno));
  }
}

}  // namespace bntrain::cli
