#include "bench/run_record.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>

#include "bntrain/error.hpp"

namespace bntrain::bench {
namespace {

struct BadRecord {
  std::string message;
};

const Json& member(const Json& record, const char* name) {
  const auto found = record.find(name);
  if (found == record.end()) throw BadRecord{std::string("'") + name + "' is missing"};
  return *found;
}

[[noreturn]] void refuse(const char* name, const Json& value) {
  throw BadRecord{std::string("'") + name + "' cannot be " + one_line(value)};
}

std::int64_t count(const Json& record, const char* name, std::int64_t least) {
  const Json& value = member(record, name);
  if (!value.is_number_integer() || value.get<std::int64_t>() < least) refuse(name, value);
  return value.get<std::int64_t>();
}

/// null stands for what was not finite.
double number(const Json& record, const char* name) {
  const Json& value = member(record, name);
  if (value.is_null()) return std::numeric_limits<double>::quiet_NaN();
  if (!value.is_number()) refuse(name, value);
  return value.get<double>();
}

double number(const Json& record, const char* name, double least, double most) {
  const double value = number(record, name);
  if (!(value >= least && value <= most)) refuse(name, member(record, name));
  return value;
}

double not_negative(const Json& record, const char* name) {
  return number(record, name, 0, std::numeric_limits<double>::max());
}

class Reader {
 public:
  void read(const std::string& line) {
    if (ended_) throw BadRecord{"nothing may follow the end record"};
    const Json record = parse_record(line);
    if (record.is_discarded() || !record.is_object()) throw BadRecord{"this is not a JSON object"};
    const Json& event = member(record, "event");
    if (!event.is_string()) refuse("event", event);
    const bool first = run_.start.is_null();
    if (first != (event == "start")) throw BadRecord{"the first record, and only that, is the start"};
    if (event == "start") read_start(record);
    if (event == "epoch") read_epoch(record);
    if (event == "evaluation") read_evaluation(record);
    if (event == "activation") read_activation(record);
    if (event == "end") read_end(record);
  }

  RunRecord take() {
    if (!ended_) throw BadRecord{"the end record is missing"};
    return std::move(run_);
  }

 private:
  void read_start(const Json& record) {
    for (const char* name : {"config", "versions", "dataset"}) {
      if (!member(record, name).is_object()) refuse(name, record[name]);
    }
    for (const char* name : {"backend", "variant", "network", "processor"}) {
      if (!member(record, name).is_string()) refuse(name, record[name]);
    }
    count(record, "steps_per_epoch", 1);
    total_steps_ = count(record, "total_steps", 1);
    run_.alone = count(record, "jobs", 1) == 1;
    run_.start = record;
  }

  void add(const EvaluationRecord& evaluation) {
    if (!run_.evaluations.empty() && evaluation.step <= run_.evaluations.back().step) {
      throw BadRecord{"step " + std::to_string(evaluation.step) + " does not follow step " +
                      std::to_string(run_.evaluations.back().step)};
    }
    run_.evaluations.push_back(evaluation);
  }

  void read_evaluation(const Json& record) {
    add({.step = count(record, "step", 1),
         .test_loss = number(record, "test_loss"),
         .test_accuracy = number(record, "test_accuracy", 0, 1),
         .train_seconds = not_negative(record, "train_seconds")});
  }

  void read_activation(const Json& record) {
    const Json& layer = member(record, "layer");
    if (!layer.is_string()) refuse("layer", layer);
    const Json& percentiles = member(record, "percentiles");
    if (!percentiles.is_object()) refuse("percentiles", percentiles);
    run_.activations.push_back({count(record, "step", 0), layer.get<std::string>(), number(percentiles, "15"),
                                number(percentiles, "50"), number(percentiles, "85")});
  }

  void read_epoch(const Json& record) {
    EpochRecord epoch{.epoch = count(record, "epoch", 0),
                      .steps = count(record, "steps", 1),
                      .train_loss = not_negative(record, "train_loss"),
                      .train_loss_batch_mean = number(record, "train_loss_batch_mean"),
                      .train_accuracy = number(record, "train_accuracy", 0, 1),
                      .train_accuracy_batch_mean = number(record, "train_accuracy_batch_mean", 0, 1),
                      .test_loss = number(record, "test_loss"),
                      .test_accuracy = number(record, "test_accuracy", 0, 1),
                      .test_accuracy_batch_mean = number(record, "test_accuracy_batch_mean", 0, 1)};
    if (epoch.epoch != static_cast<std::int64_t>(run_.epochs.size())) {
      throw BadRecord{"epoch " + std::to_string(run_.epochs.size()) + " is missing"};
    }
    run_.train_seconds += not_negative(record, "seconds");
    add({epoch.steps, epoch.test_loss, epoch.test_accuracy, run_.train_seconds});
    run_.epochs.push_back(epoch);
  }

  void read_end(const Json& record) {
    const std::int64_t steps = count(record, "steps", 0);
    const Json& status = member(record, "status");
    const Json& divergence = member(record, "divergence");
    if (status == "diverged" && divergence.is_object()) {
      const Json& layer = member(divergence, "layer");
      if (!layer.is_string()) refuse("layer", layer);
      run_.divergence = Divergence{.epoch = count(divergence, "epoch", 0),
                                   .step = count(divergence, "step", 0),
                                   .lr = 0,
                                   .layer = layer.get<std::string>()};
    } else if (status != "finished" || !divergence.is_null()) {
      refuse("status", status);
    } else if (steps != total_steps_ || run_.epochs.empty() || run_.epochs.back().steps != steps) {
      throw BadRecord{"the run has " + std::to_string(total_steps_) + " steps, and its records are of " +
                      std::to_string(run_.epochs.empty() ? 0 : run_.epochs.back().steps)};
    }
    ended_ = true;
  }

  RunRecord run_;
  std::int64_t total_steps_ = 0;
  bool ended_ = false;
};

}  // namespace

RunRecord read_run_record(std::istream& lines, const std::string& where) {
  Reader reader;
  int number = 0;
  try {
    for (std::string line; std::getline(lines, line);) {
      ++number;
      if (lines.eof()) throw BadRecord{"the line is cut off"};
      reader.read(line);
    }
    if (lines.bad()) throw BadRecord{std::string("reading failed: ") + std::strerror(errno)};
    return reader.take();
  } catch (const BadRecord& bad) {
    throw Error(ErrorKind::data, where + ": line " + std::to_string(std::max(number, 1)) + ": " +
                                     bad.message + "; remove the file to run this run again");
  }
}

RunRecord read_run_record(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(ErrorKind::data, path.string() + ": cannot be read: " + std::strerror(errno));
  return read_run_record(file, path.string());
}

}  // namespace bntrain::bench
