#include "cli/record_file.hpp"

#include <spdlog/spdlog.h>

#include <filesystem>

#include "bntrain/error.hpp"
#include "core/write_file.hpp"

namespace bntrain::cli {
namespace {

/// Whether the record tells of something before the checkpoint.
bool is_before(const Json& record, const TrainProgress& checkpoint) {
  const std::string event = record.at("event");
  if (event == "start" || event == "end") return false;
  if (event == "epoch") return record.at("epoch").get<std::size_t>() < checkpoint.epochs.size();
  return record.at("step").get<std::int64_t>() < checkpoint.steps;
}

struct KeptRecords {
  std::string text;
  std::size_t epochs = 0;
};

KeptRecords read_records(const std::string& path, const TrainProgress& checkpoint) {
  KeptRecords kept;
  std::ifstream file(path, std::ios::binary);
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    const bool cut_off = file.eof();  // the process was killed in the middle of a line
    try {
      const Json record = Json::parse(line);
      if (!is_before(record, checkpoint)) continue;
      if (record.at("event") == "epoch") ++kept.epochs;
      kept.text += line + "\n";
    } catch (const Json::exception&) {
      if (cut_off) break;
      throw Error(ErrorKind::data, path + ", line " + std::to_string(number) +
                                       ": this is no record of a training run; move the file away to resume "
                                       "without the records so far");
    }
  }
  return kept;
}

/// Replaces the file by `start` and those of its records that lie before the checkpoint.
void rewind(const std::string& path, const Json& start, const TrainProgress& checkpoint) {
  const KeptRecords kept = read_records(path, checkpoint);
  if (kept.epochs < checkpoint.epochs.size()) {
    spdlog::warn("{} has the records of {} of the {} epochs before the checkpoint; the rest stays lost", path,
                 kept.epochs, checkpoint.epochs.size());
  }
  write_file(path, one_line(start) + "\n" + kept.text);
}

}  // namespace

RecordFile::RecordFile(const std::string& flag, const std::string& path, const TrainConfig& config,
                       const Json& start, const TrainProgress* resumed) {
  const std::string name = flag + ": " + path;
  const bool records_steps = config.log_every > 0;
  const bool is_device = std::filesystem::exists(path) && !std::filesystem::is_regular_file(path);
  if (resumed == nullptr || is_device) {
    file_.open(path, std::ios::trunc);
    writer_.emplace(file_, name, records_steps, start);
  } else {
    rewind(path, start, *resumed);
    file_.open(path, std::ios::app);
    writer_.emplace(file_, name, records_steps);
  }
}

}  // namespace bntrain::cli
