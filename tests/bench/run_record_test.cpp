#include "bench/run_record.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "support/error_message.hpp"
#include "support/temporary_folder.hpp"

namespace bntrain::bench {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* start =
    R"({"event":"start","config":{"lr":0.5},"versions":{},"processor":"p","backend":"b","variant":"v","jobs":1,)"
    R"("network":"fc10","dataset":{},"steps_per_epoch":4,"total_steps":8})";
constexpr const char* within =
    R"({"event":"evaluation","epoch":0,"step":3,"test_loss":2,"test_accuracy":0.25,"train_seconds":1.5,"eval_seconds":1})";
constexpr const char* first_epoch =
    R"({"event":"epoch","epoch":0,"steps":4,"train_loss":1.5,"train_accuracy":0.5,"test_loss":1.25,)"
    R"("test_accuracy":0.5,"train_loss_batch_mean":1.5,"train_accuracy_batch_mean":0.5,)"
    R"("test_loss_batch_mean":1.25,"test_accuracy_batch_mean":0.5,"seconds":2})";
constexpr const char* second_epoch =
    R"({"event":"epoch","epoch":1,"steps":8,"train_loss":1,"train_accuracy":0.75,"test_loss":null,)"
    R"("test_accuracy":0.625,"train_loss_batch_mean":1,"train_accuracy_batch_mean":0.75,)"
    R"("test_loss_batch_mean":null,"test_accuracy_batch_mean":0.625,"seconds":3})";
constexpr const char* end = R"({"event":"end","status":"finished","steps":8,"divergence":null})";
constexpr const char* diverged_end =
    R"({"event":"end","status":"diverged","steps":5,"divergence":{"epoch":1,"step":5,"lr":0.5,"layer":"0 fc10"}})";

class RunRecordTest : public ::testing::Test {
 protected:
  std::string write(const std::vector<std::string>& lines) const {
    std::ofstream file(path());
    for (const std::string& line : lines) file << line << "\n";
    return path();
  }
  std::string path() const { return folder.file("run.jsonl"); }
  /// What reading these lines is refused with.
  std::string refusal(const std::vector<std::string>& lines) const {
    write(lines);
    return error_message(ErrorKind::data, [&] { read_run_record(path()); });
  }

  TemporaryFolder folder;
};

TEST_F(RunRecordTest, ReadsEpochsAndEvaluationsInTheOrderOfTheirSteps) {
  const std::string step = R"({"event":"step","epoch":0,"step":0,"loss":null,"accuracy":0})";
  const RunRecord run = read_run_record(write({start, step, within, first_epoch, second_epoch, end}));
  ASSERT_EQ(run.epochs.size(), 2U);
  EXPECT_EQ(run.epochs[0].train_loss, 1.5);
  EXPECT_EQ(run.epochs[1].test_accuracy, 0.625);
  EXPECT_TRUE(std::isnan(run.epochs[1].test_loss));
  ASSERT_EQ(run.evaluations.size(), 3U);
  EXPECT_EQ(run.evaluations[0].step, 3);
  EXPECT_EQ(run.evaluations[0].train_seconds, 1.5);
  EXPECT_EQ(run.evaluations[1].step, 4);
  EXPECT_EQ(run.evaluations[1].train_seconds, 2);
  EXPECT_EQ(run.evaluations[2].step, 8);
  EXPECT_EQ(run.evaluations[2].train_seconds, 5);
  EXPECT_EQ(run.train_seconds, 5);
  EXPECT_TRUE(run.alone);
  EXPECT_FALSE(run.divergence.has_value());
}

TEST_F(RunRecordTest, ARunThatDivergedKeepsTheEpochsThatItFinished) {
  const RunRecord run = read_run_record(write({start, first_epoch, diverged_end}));
  EXPECT_EQ(run.epochs.size(), 1U);
  ASSERT_TRUE(run.divergence.has_value());
  EXPECT_EQ(run.divergence->epoch, 1);
  EXPECT_EQ(run.divergence->step, 5);
  EXPECT_EQ(run.divergence->layer, "0 fc10");
}

TEST_F(RunRecordTest, TheRefusalNamesFileAndLineAndWhatToDo) {
  EXPECT_THAT(refusal({start, "garbage", end}), AllOf(HasSubstr(path()), HasSubstr("line 2"),
                                                      HasSubstr("not a JSON object"), HasSubstr("remove")));
}

TEST_F(RunRecordTest, RefusesWhatIsMissing) {
  EXPECT_THAT(refusal({}), HasSubstr("line 1: the end record is missing"));
  EXPECT_THAT(refusal({start, first_epoch, second_epoch}), HasSubstr("line 3: the end record is missing"));
  EXPECT_THAT(refusal({first_epoch, second_epoch, end}), HasSubstr("line 1: the first record"));
  EXPECT_THAT(refusal({start, second_epoch, end}), HasSubstr("line 2: epoch 0 is missing"));
  EXPECT_THAT(refusal({start, first_epoch, end}), HasSubstr("line 3: the run has 8 steps"));
  EXPECT_THAT(refusal({start, R"({"step":3})", end}), HasSubstr("line 2: 'event' is missing"));
  EXPECT_THAT(error_message(ErrorKind::data, [&] { read_run_record(folder.file("none")); }),
              HasSubstr("none"));
}

TEST_F(RunRecordTest, RefusesWhatIsOutOfOrder) {
  EXPECT_THAT(refusal({start, start, first_epoch, second_epoch, end}), HasSubstr("line 2"));
  EXPECT_THAT(refusal({start, first_epoch, within, second_epoch, end}), HasSubstr("line 3: step 3"));
  EXPECT_THAT(refusal({start, first_epoch, second_epoch, end, end}), HasSubstr("line 5: nothing may follow"));
}

TEST_F(RunRecordTest, RefusesNumbersThatAreNone) {
  const auto with = [&](std::string line, const std::string& part, const std::string& other) {
    line.replace(line.find(part), part.size(), other);
    return refusal({start, line, second_epoch, end});
  };
  EXPECT_THAT(with(first_epoch, "\"test_accuracy\":0.5", "\"test_accuracy\":1.5"),
              HasSubstr("'test_accuracy'"));
  EXPECT_THAT(with(first_epoch, "\"test_accuracy\":0.5", "\"test_accuracy\":\"0.5\""), HasSubstr("line 2"));
  EXPECT_THAT(with(first_epoch, "\"train_loss\":1.5", "\"train_loss\":null"), HasSubstr("'train_loss'"));
  EXPECT_THAT(with(first_epoch, "\"steps\":4", "\"steps\":4.5"), HasSubstr("'steps'"));
  EXPECT_THAT(with(first_epoch, "\"seconds\":2", "\"seconds\":-2"), HasSubstr("'seconds'"));
}

TEST_F(RunRecordTest, DeepNestingIsRefusedBeforeItFillsTheStack) {
  const std::string deep = std::string(300'000, '[') + std::string(300'000, ']');
  std::string nested_start = start;
  nested_start.replace(nested_start.find("0.5"), 3, deep);
  EXPECT_THAT(refusal({nested_start, end}), HasSubstr("line 1: this is not a JSON object"));
  EXPECT_THAT(refusal({start, R"({"event":"evaluation","step":)" + deep + "}", end}), HasSubstr("line 2"));
}

TEST_F(RunRecordTest, RefusesARunThatWasInterrupted) {
  EXPECT_THAT(
      refusal({start, first_epoch, R"({"event":"end","status":"interrupted","steps":5,"divergence":null})"}),
      HasSubstr("'status' cannot be \"interrupted\""));
}

TEST_F(RunRecordTest, RefusesALineThatIsCutOff) {
  write({start, first_epoch, second_epoch, end});
  std::filesystem::resize_file(path(), std::filesystem::file_size(path()) - 1);
  EXPECT_THAT(error_message(ErrorKind::data, [&] { read_run_record(path()); }),
              HasSubstr("line 4: the line is cut off"));
}

}  // namespace
}  // namespace bntrain::bench
