#include "train/record_writer.hpp"

#include <cerrno>
#include <cstring>
#include <utility>

#include "bntrain/error.hpp"

namespace bntrain {

RecordWriter::RecordWriter(std::ostream& out, std::string name, bool steps)
    : out_(out), name_(std::move(name)), steps_(steps) {}

RecordWriter::RecordWriter(std::ostream& out, std::string name, bool steps, const Json& start)
    : RecordWriter(out, std::move(name), steps) {
  write(start);
}

void RecordWriter::on_steps(std::int64_t epoch, std::int64_t first_step,
                            const std::vector<StepMetrics>& steps) {
  if (!steps_) return;
  for (const StepMetrics& step : steps) write(step_record(epoch, first_step++, step));
}

void RecordWriter::on_evaluation(const Evaluation& evaluation) {
  write(evaluation_record(evaluation));
}

void RecordWriter::on_record(const StepRecord& record) {
  for (const Json& layer : probe_records(record)) write(layer);
}

void RecordWriter::on_epoch(const EpochResult& epoch) {
  write(epoch_record(epoch));
}

void RecordWriter::on_end(const TrainResult& result) {
  write(end_record(result));
}

void RecordWriter::write(const Json& record) {
  // Flushed line by line, so that a reader of the growing file sees every epoch when it ends.
  out_ << one_line(record) << std::endl;
  if (!out_) throw Error(ErrorKind::runtime, name_ + " cannot be written: " + std::strerror(errno));
}

}  // namespace bntrain
