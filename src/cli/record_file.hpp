// A file of a training run's records that a resumed run goes on with.
#pragma once

#include <fstream>
#include <optional>
#include <string>

#include "bntrain/trainer.hpp"
#include "train/record_writer.hpp"

namespace bntrain::cli {

class RecordFile {
 public:
  /// Begins the file with the record `start`. With `resumed`, a file that is there keeps the records before
  /// that checkpoint and loses those behind it, which come again; `start` replaces its first one. `flag`
  /// names the file in messages. Throws Error(data) where the file holds something else, Error(runtime) where
  /// it cannot be written.
  RecordFile(const std::string& flag, const std::string& path, const TrainConfig& config, const Json& start,
             const TrainProgress* resumed);

  RecordWriter& records() { return *writer_; }

 private:
  std::ofstream file_;
  std::optional<RecordWriter> writer_;
};

}  // namespace bntrain::cli
