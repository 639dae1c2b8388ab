#include "train/record_writer.hpp"

#include <cerrno>
#include <cstring>
#include <utility>

#include "bntrain/error.hpp"

namespace bntrain {

namespace {

constexpr std::size_t most_last_steps = 10;

}  // namespace

void RecordMaker::on_steps(std::int64_t epoch, std::int64_t first_step,
                           const std::vector<StepMetrics>& steps) {
  for (const StepMetrics& step : steps) {
    if (last_steps_.size() == most_last_steps) last_steps_.erase(last_steps_.begin());
    last_steps_.emplace_back(first_step, step);
    if (steps_) take(step_record(epoch, first_step, step));
    ++first_step;
  }
}

void RecordMaker::on_evaluation(const Evaluation& evaluation) {
  take(evaluation_record(evaluation));
}

void RecordMaker::on_record(const StepRecord& record) {
  for (const Json& layer : probe_records(record)) take(layer);
}

void RecordMaker::on_epoch(const EpochResult& epoch) {
  take(epoch_record(epoch));
}

void RecordMaker::on_end(const TrainResult& result) {
  Json record = end_record(result);
  if (result.divergence) {
    Json& steps = record["divergence"]["last_steps"] = Json::array();
    for (const auto& [step, metrics] : last_steps_) {
      Json& one = steps.emplace_back(step_record(result.divergence->epoch, step, metrics));
      one.erase("event");
      one.erase("epoch");  // they may reach into the one before
    }
  }
  take(record);
}

RecordWriter::RecordWriter(std::ostream& out, std::string name, bool steps)
    : RecordMaker(steps), out_(out), name_(std::move(name)) {}

RecordWriter::RecordWriter(std::ostream& out, std::string name, bool steps, const Json& start)
    : RecordWriter(out, std::move(name), steps) {
  take(start);
}

void RecordWriter::take(const Json& record) {
  // Flushed line by line, so that a reader of the growing file sees every epoch when it ends.
  out_ << one_line(record) << std::endl;
  if (!out_) throw Error(ErrorKind::runtime, name_ + " cannot be written: " + std::strerror(errno));
}

}  // namespace bntrain
