#include "cli/reports/train_report.hpp"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <cstring>
#include <filesystem>
#include <new>

#include "bntrain/error.hpp"
#include "cli/reports/output.hpp"
#include "core/write_file.hpp"
#include "report/history_reader.hpp"
#include "report/page.hpp"

namespace bntrain::cli {
namespace {

/// Whether the record is of something before the checkpoint.
bool is_before(const Json& record, const TrainProgress& checkpoint) {
  const std::string event = record.at("event");
  if (event == "start" || event == "end") return false;
  if (event == "epoch") return record.at("epoch").get<std::int64_t>() < checkpoint.epochs.count;
  return record.at("step").get<std::int64_t>() < checkpoint.steps;
}

struct KeptRecords {
  std::string text;
  report::HistoryReader history;
};

KeptRecords read_records(const std::string& path, const TrainProgress& checkpoint) {
  KeptRecords kept;
  std::ifstream file(path, std::ios::binary);
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    const bool cut_off = file.eof();  // the process was killed in the middle of a line
    try {
      // Most of the bytes of dense records: checked, but not kept in memory.
      const auto of_layer = report::layer_record(line);
      const bool is_kept = of_layer && of_layer->step < checkpoint.steps;
      if (!is_kept || !kept.history.passes_over(line) || !Json::accept(line)) {
        const Json record = Json::parse(line);
        if (!is_before(record, checkpoint)) continue;
        kept.history.take(record);
      }
      kept.text += line + "\n";
    } catch (const Json::exception&) {
      if (cut_off) break;
      throw Error(ErrorKind::data,
                  path + ", line " + std::to_string(number) +
                      ": this is not a record of a training run; move the file away to resume "
                      "without the records so far");
    }
  }
  return kept;
}

/// Replaces the file by `start` and its records from before the checkpoint, and returns what they say.
report::RunHistory rewind(const std::string& path, const Json& start, const TrainProgress& checkpoint) {
  KeptRecords kept = read_records(path, checkpoint);
  kept.history.take(start);
  report::RunHistory history = kept.history.finish();
  if (std::ssize(history.epochs) < checkpoint.epochs.count) {
    spdlog::warn("{} holds the records of only {} of the {} epochs before the checkpoint", path,
                 history.epochs.size(), checkpoint.epochs.count);
  }
  write_file(path, one_line(start) + "\n" + kept.text);
  return history;
}

}  // namespace

std::string epoch_line(const EpochResult& epoch, std::int64_t steps_per_epoch) {
  const std::string train = fmt::format("Epoch {}. Loss: {:.6f}, Train acc {:.6f}", epoch.epoch,
                                        epoch.train.loss, epoch.train.accuracy);
  const std::string speed =
      fmt::format("{:.2f} s, {:.0f} images/s", epoch.train_seconds, images_per_second(epoch));
  if (epoch.test.count == 0) {
    return fmt::format("{} (interrupted after {} of {} steps, {})", train,
                       epoch.steps - epoch.epoch * steps_per_epoch, steps_per_epoch, speed);
  }
  return fmt::format("{}, {} acc {:.6f} ({})", train,
                     epoch.evaluated == EvaluatedSet::test ? "Test" : "Valid", epoch.test.accuracy, speed);
}

std::string test_line(const TrainResult& result) {
  return fmt::format(
      "Test. Loss: {:.6f}, Test acc {:.6f} (weights of epoch {}, the best by validation accuracy)",
      result.final_test.loss, result.final_test.accuracy, result.history.best->epoch);
}

TrainReport::TrainReport(const TrainOptions& options, const Trainer& trainer, const Json& start,
                         RunFolder* folder)
    : options_(options),
      steps_per_epoch_(trainer.steps_per_epoch()),
      total_steps_(trainer.total_steps()),
      folder_(folder),
      records_(*this, options.config.log_every > 0),
      progress_(shows_progress(options.log)) {
  const TrainConfig& config = options.config;
  const TrainProgress* resumed = options.stored ? &options.stored->checkpoint.progress : nullptr;
  if (!options.metrics.empty()) metrics_.emplace_back("--metrics", options.metrics, config, start, resumed);
  if (!options.tensorboard.empty()) events_.emplace(options, start);
  if (folder == nullptr) return;
  metrics_.emplace_back("--out", folder->metrics(), config, start, resumed);
  if (options.no_report) {
    // A page of what was before is out of date from here on.
    const std::filesystem::path page = std::filesystem::path(options.out) / page_name;
    std::error_code ignored;
    if (report::is_page(page)) std::filesystem::remove(page, ignored);
    return;
  }
  try {
    page_.emplace(options, metrics_.back().take_history());
  } catch (const std::bad_alloc&) {
    spdlog::warn("there is not enough memory for the report; the run goes on without it");
  }
}

void TrainReport::on_steps(std::int64_t epoch, std::int64_t first_step,
                           const std::vector<StepMetrics>& steps) {
  if (steps.empty()) return;
  progress_.update(fmt::format("Epoch {}", epoch), first_step + static_cast<std::int64_t>(steps.size()),
                   total_steps_, fmt::format("loss {:.4f}", steps.back().loss()));
  records_.on_steps(epoch, first_step, steps);
  tell([&](EventLog& events) { events.on_steps(epoch, first_step, steps); });
}

void TrainReport::on_evaluation(const Evaluation& evaluation) {
  records_.on_evaluation(evaluation);
  tell([&](EventLog& events) { events.on_evaluation(evaluation); });
}

void TrainReport::on_record(const StepRecord& step) {
  records_.on_record(step);
  tell([&](EventLog& events) { events.on_record(step); });
}

void TrainReport::on_answers(const Trainer& trainer, const EpochResult& epoch,
                             const std::vector<float>& logits) {
  progress_.clear();
  if (folder_ != nullptr) folder_->save_evaluation(trainer, epoch, logits);
  tell([&](EventLog& events) { events.on_answers(trainer, epoch, logits); });
}

void TrainReport::on_epoch(const EpochResult& epoch) {
  records_.on_epoch(epoch);
  show([](LivePage& page) { page.refresh(); });
  tell([&](EventLog& events) { events.on_epoch(epoch); });
  progress_.clear();
  const std::string line =
      options_.json ? one_line(epoch_record(epoch)) : epoch_line(epoch, steps_per_epoch_);
  if (epoch.test.count > 0)
    print(line);
  else
    interrupted_epoch_ = line;
}

void TrainReport::on_best(const EpochResult& epoch, const ModelState& model) {
  if (folder_ != nullptr) folder_->save_best(epoch.steps, model);
}

void TrainReport::on_checkpoint(const Trainer& trainer) {
  if (folder_ != nullptr) folder_->save(trainer);
}

void TrainReport::on_end(const TrainResult& result) {
  records_.on_end(result);
  show([](LivePage& page) { page.finish(); });
  tell([&](EventLog& events) { events.on_end(result); });
  progress_.clear();
  if (!interrupted_epoch_.empty()) print(interrupted_epoch_);
  if (options_.json) {
    print(one_line(end_record(result)));
  } else if (result.final_test.count > 0) {
    print(test_line(result));
  }
}

void TrainReport::expect_printed() const {
  if (unprinted_) std::rethrow_exception(unprinted_);
}

void TrainReport::print(const std::string& line) {
  if (unprinted_) return;
  try {
    print_result(line);
  } catch (const std::exception&) {
    if (options_.save.empty() && options_.save_gradients.empty() && metrics_.empty() && !events_) throw;
    unprinted_ = std::current_exception();
  }
}

void TrainReport::take(const Json& record) {
  metrics_.remove_if([&](RecordFile& file) {
    try {
      file.take(record);
      return false;
    } catch (const Error& error) {
      progress_.clear();
      spdlog::warn("{}; the run goes on without these records", error.what());
      file.end_at_last_line();
      return true;
    }
  });
  show([&](LivePage& page) { page.take(record); });
}

void TrainReport::show(const std::function<void(LivePage&)>& tell_page) {
  try {
    if (page_) tell_page(*page_);
  } catch (const std::bad_alloc&) {
    progress_.clear();
    spdlog::warn("there is not enough memory for the report; the run goes on without it");
    page_.reset();
  }
}

void TrainReport::tell(const std::function<void(EventLog&)>& write) {
  if (!events_) return;
  try {
    write(*events_);
  } catch (const std::exception& error) {  // std::bad_alloc is one more
    progress_.clear();
    spdlog::warn("--tensorboard: {}; the run goes on without its events", error.what());
    events_.reset();
  }
}

RecordFile::RecordFile(const std::string& flag, const std::string& path, const TrainConfig& config,
                       const Json& start, const TrainProgress* resumed)
    : path_(path) {
  const std::string name = flag + ": " + path;
  const bool records_steps = config.log_every > 0;
  const bool is_device = std::filesystem::exists(path) && !std::filesystem::is_regular_file(path);
  if (resumed == nullptr || is_device) {
    file_.open(path, std::ios::trunc);
    writer_.emplace(file_, name, records_steps, start);
    history_.add(start);
  } else {
    history_ = rewind(path, start, *resumed);
    file_.open(path, std::ios::app);
    writer_.emplace(file_, name, records_steps);
  }
}

void RecordFile::end_at_last_line() {
  file_.close();
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path_, ignored)) return;
  std::ifstream written(path_, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(written)), std::istreambuf_iterator<char>());
  std::filesystem::resize_file(path_, text.rfind('\n') + 1, ignored);
}

}  // namespace bntrain::cli
