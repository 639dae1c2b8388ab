// Training runs of the program in folders, which other runs continue.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <string>
#include <vector>

#include "bntrain/model_file.hpp"
#include "cli/run_program.hpp"
#include "formats/safetensors.hpp"
#include "support/small_training.hpp"

namespace bntrain::test {

/// The records without what two runs of the same bits may differ in.
inline std::vector<nlohmann::json> without_times(const std::filesystem::path& metrics) {
  std::vector<nlohmann::json> records = json_lines(read_text(metrics));
  for (nlohmann::json& record : records) {
    for (const char* time :
         {"seconds", "images_per_second", "eval_seconds", "eval_images_per_second", "train_seconds"})
      record.erase(time);
    if (!record.contains("config")) continue;
    for (const char* of_threads : {"backend", "memory_bytes"}) record.erase(of_threads);
    for (const char* key : {"out", "threads"}) record["config"].erase(key);
  }
  return records;
}

class ResumeProgramTest : public ::testing::Test {
 protected:
  std::string run_folder(const std::string& name = "run") const { return folder.file(name); }
  std::filesystem::path file(const std::string& run, const std::string& name) const {
    return folder.path() / run / name;
  }
  /// Flags of a run whose every part is at work, and which writes often.
  std::vector<std::string> flags(const std::string& run) const {
    return small_run({"--out",          run_folder(run),
                      "--epochs",       "4",
                      "--momentum",     "0.9",
                      "--weight-decay", "1e-4",
                      "--valid",        "0.2",
                      "--save-every",   "2",
                      "--log-every",    "1",
                      "--eval-every",   "3",
                      "--init",         "torch",
                      "--lr",           "0.05",
                      "--record",       "bn,activations"});
  }
  ProgramResult resume(const std::string& run, const std::vector<std::string>& more = {},
                       const ProgramSetup& setup = {}) const {
    std::vector<std::string> arguments = {"--resume", run_folder(run)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_bntrain(arguments, setup);
  }
  void expect_same_run(const std::string& a, const std::string& b) const {
    const Checkpoint x = read_checkpoint(file(a, "last.safetensors")).checkpoint;
    const Checkpoint y = read_checkpoint(file(b, "last.safetensors")).checkpoint;
    EXPECT_EQ(x.progress.steps, y.progress.steps);
    EXPECT_TRUE(same_bits(x.model, y.model));
    ASSERT_EQ(x.optimizer.size(), y.optimizer.size());
    for (std::size_t i = 0; i < x.optimizer.size(); ++i)
      EXPECT_TRUE(same_bits(x.optimizer[i].state, y.optimizer[i].state));
    EXPECT_TRUE(same_bits(x.best, y.best));
    const TensorFile best_a = read_safetensors(file(a, "best.safetensors"));
    const TensorFile best_b = read_safetensors(file(b, "best.safetensors"));
    EXPECT_TRUE(same_bits(best_a.state, best_b.state));
    EXPECT_EQ(best_a.metadata, best_b.metadata);
    EXPECT_EQ(without_times(file(a, "metrics.jsonl")), without_times(file(b, "metrics.jsonl")));
    EXPECT_EQ(read_text(file(a, "evaluation.json")), read_text(file(b, "evaluation.json")));
  }
  std::size_t files_in(const std::string& run) const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(folder.path() / run), {}));
  }

  TemporaryFolder folder;
};

}  // namespace bntrain::test
