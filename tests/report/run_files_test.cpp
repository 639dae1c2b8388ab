// Which runs an argument names, and what has become of them.
#include "report/run_files.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>

#include <fstream>
#include <optional>
#include <thread>

#include "core/folder_lock.hpp"
#include "formats/safetensors.hpp"
#include "report/run_page.hpp"
#include "report/run_words.hpp"
#include "report/sample_run.hpp"
#include "support/error_message.hpp"
#include "support/temporary_folder.hpp"

namespace bntrain::report::test {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Pair;

class FindRuns : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(folder.file(name)).parent_path());
    std::ofstream(folder.file(name)) << text;
  }
  RunState state(const std::vector<Json>& records) {
    write("run/metrics.jsonl", lines_of(records));
    return find_runs(folder.file("run"), problems).at(0).state;
  }

  TemporaryFolder folder;
  std::vector<std::string> problems;
};

TEST_F(FindRuns, KnowTheirStateByLastRecordAndLock) {
  std::vector<Json> records = sample_records({});
  EXPECT_EQ(state(records), RunState::ended);
  for (const auto& [status, expected] :
       {std::pair("interrupted", RunState::interrupted), {"diverged", RunState::diverged}}) {
    records.back()["status"] = status;
    EXPECT_EQ(state(records), expected);
  }
  records.pop_back();
  EXPECT_EQ(state(records), RunState::killed);
  std::optional<FolderLock> training(std::in_place, folder.file("run"));
  EXPECT_EQ(state(records), RunState::going_on);
  EXPECT_EQ(state(sample_records({})), RunState::ended) << "its process writes its last files";
  training.reset();
  EXPECT_EQ(state(records), RunState::killed);
  write("alone.jsonl", lines_of(records));
  EXPECT_EQ(find_runs(folder.file("alone.jsonl"), problems).at(0).state, RunState::unknown);
}

TEST_F(FindRuns, AreNamedByFolderOrFile) {
  write("run/metrics.jsonl", lines_of(sample_records({})));
  for (const char* name : {"run", "run/", "run/metrics.jsonl", "run/../run/."}) {
    const std::vector<RecordedRun> runs = find_runs(folder.file(name), problems);
    ASSERT_EQ(runs.size(), 1U) << name;
    EXPECT_EQ(runs[0].history.name, "run");
    EXPECT_FALSE(runs[0].folder.empty());
  }
  write("bench/runs/b.jsonl", lines_of(sample_records({})));
  write("bench/runs/a.jsonl", lines_of(sample_records({})));
  write("bench/runs/c.jsonl", "damaged\n");
  write("bench/runs/notes.txt", "");
  const std::vector<RecordedRun> runs = find_runs(folder.file("bench"), problems);
  ASSERT_EQ(runs.size(), 2U);
  EXPECT_EQ(runs[0].history.name, "a");
  EXPECT_THAT(problems, ElementsAre(HasSubstr("c.jsonl: none of its lines is a record")));
}

TEST_F(FindRuns, OfTheSameNameAreNamedByTheEndsOfTheirPaths) {
  for (const char* name : {"x/a/run/metrics.jsonl", "y/a/run/metrics.jsonl", "z/run.jsonl", "other.jsonl"})
    write(name, lines_of(sample_records({})));
  std::vector<RecordedRun> runs;
  for (const char* name : {"x/a/run/", "y/a/run", "z/run.jsonl", "other.jsonl", "x/a/run"})
    runs.push_back(find_runs(folder.file(name), problems).at(0));
  name_apart(runs);
  std::vector<std::string> names;
  for (const RecordedRun& run : runs) names.push_back(run.history.name);
  EXPECT_THAT(names, ElementsAre("x/a/run", "y/a/run", EndsWith("z/run"), "other", "x/a/run"));
}

TEST_F(FindRuns, OfAFolderAndAFileOfTheSameNameHaveTheExtensionOfTheFile) {
  for (const char* name : {"a/run/metrics.jsonl", "a/run.jsonl"}) write(name, lines_of(sample_records({})));
  std::vector<RecordedRun> runs;
  for (const char* name : {"a/run", "a/run.jsonl"})
    runs.push_back(find_runs(folder.file(name), problems).at(0));
  name_apart(runs);
  EXPECT_EQ(runs[0].history.name, "run");
  EXPECT_EQ(runs[1].history.name, "run.jsonl");
}

TEST_F(FindRuns, ThatTellLessThanTheirCheckpointWereNotKilled) {
  const auto find = [&](std::int64_t checkpoint, std::size_t records, const Json& settings = {}) {
    std::vector<Json> all = sample_records({.steps = true, .ended = false, .settings = settings});
    all.resize(records);
    write("run/metrics.jsonl", lines_of(all));
    write_safetensors(folder.file("run/last.safetensors"),
                      {{}, {{"bntrain.progress", one_line({{"steps", checkpoint}})}}});
    return find_runs(folder.file("run"), problems).at(0);
  };
  // A start, then 20 steps and their epoch, three times.
  EXPECT_EQ(find(20, 22).state, RunState::killed);
  EXPECT_EQ(find(30, 22).state, RunState::killed) << "a checkpoint within the epoch";
  EXPECT_EQ(find(20, 25).state, RunState::killed) << "records go on until they are killed";
  EXPECT_THAT(state_sentence(find(20, 25)),
              HasSubstr("after 23 of 60 steps, without a word of an end, as those on a full disk do; the "
                        "checkpoint is of step 20."));
  const RecordedRun run = find(40, 22);
  EXPECT_EQ(run.state, RunState::unknown);
  EXPECT_THAT(state_sentence(run), HasSubstr("end after 20 of 60 steps, and the checkpoint is of step 40"));
  EXPECT_THAT(next_commands(run), Contains(Pair(HasSubstr("Resume"), HasSubstr("--resume"))));
  EXPECT_EQ(find(30, 22, {{"log-every", 1}}).state, RunState::unknown) << "every step was to be recorded";
  EXPECT_EQ(find(25, 27, {{"log-every", 1}}).state, RunState::killed);
  EXPECT_EQ(find(60, 64).state, RunState::unknown) << "every step was made";
  EXPECT_THAT(next_commands(find(60, 22)), Contains(Pair("Train longer", HasSubstr("--epochs"))));
  write("run/last.safetensors", "damaged");
  EXPECT_EQ(find_runs(folder.file("run"), problems).at(0).state, RunState::killed);
}

TEST_F(FindRuns, InAPipeAreRead) {
  const std::string pipe = folder.file("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  std::thread writer([&] { std::ofstream(pipe) << lines_of(sample_records({})); });
  const RecordedRun run = find_runs(pipe, problems).at(0);
  writer.join();
  EXPECT_EQ(run.history.epochs.size(), 3U);
  EXPECT_EQ(run.history.name, pipe);
  EXPECT_TRUE(run.folder.empty());
}

TEST_F(FindRuns, WhoseRecordsAreAFolderAreRefusedAsSuch) {
  std::filesystem::create_directories(folder.file("run/metrics.jsonl"));
  EXPECT_THAT(error_message(ErrorKind::data, [&] { find_runs(folder.file("run"), problems); }),
              EndsWith("metrics.jsonl: the records cannot be read: it is a folder"));
}

TEST_F(FindRuns, WithoutReadableRecordsHaveTheirEvaluation) {
  write("run/metrics.jsonl", std::string(100, '\0'));
  EXPECT_THAT(error_message(ErrorKind::data, [&] { find_runs(folder.file("run"), problems); }),
              HasSubstr("none of its lines is a record"));
  write(
      "run/evaluation.json",
      R"({"epoch":1,"step":4,"images":"test","count":5,"classes":["a","b"],"confusion":[[1,2],[0,2]],"mistakes":[]})");
  const RecordedRun run = find_runs(folder.file("run"), problems).at(0);
  EXPECT_EQ(run.state, RunState::unknown);
  EXPECT_THAT(run_page(run, Json::object()),
              AllOf(HasSubstr("none of its lines is a record"), HasSubstr("5 test images after epoch 1")));
}

TEST_F(FindRuns, OfReproduceLieInItsFolder) {
  write("reproduced/tutorial-bn-seed-0.jsonl", lines_of(sample_records({})));
  EXPECT_TRUE(holds_many(folder.file("reproduced")));
  EXPECT_EQ(find_runs(folder.file("reproduced"), problems).at(0).history.name, "tutorial-bn-seed-0");
  write("run/metrics.jsonl", lines_of(sample_records({})));
  write("run/other.jsonl", lines_of(sample_records({})));
  EXPECT_FALSE(holds_many(folder.file("run")));
}

TEST_F(FindRuns, OfNothingIsAnErrorThatSaysWhatIsAllowed) {
  for (const char* name : {"", "none"})
    EXPECT_THAT(error_message(ErrorKind::data, [&] { find_runs(folder.file(name), problems); }),
                HasSubstr("name a folder of train, bench or reproduce --out, or a file of --metrics"));
  write("bench/runs/c.jsonl", "damaged\n");
  EXPECT_THAT(error_message(ErrorKind::data, [&] { find_runs(folder.file("bench"), problems); }),
              HasSubstr("no finished run"));
}

}  // namespace
}  // namespace bntrain::report::test
