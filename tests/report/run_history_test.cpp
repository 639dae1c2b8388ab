// Records as they are met: cut off, damaged, of another version, with numbers that are none, made twice.
#include "report/run_history.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "report/sample_run.hpp"
#include "support/error_message.hpp"
#include "support/temporary_folder.hpp"

namespace bntrain::report::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::int64_t> epochs_of(const RunHistory& history) {
  std::vector<std::int64_t> result;
  for (const EpochPoint& epoch : history.epochs) result.push_back(epoch.epoch);
  return result;
}

TEST(RunHistory, HoldsWhatWasRecorded) {
  const RunHistory history = history_of(lines_of(sample_records({.steps = true, .norms = 2})));
  EXPECT_THAT(history.missing, IsEmpty());
  EXPECT_THAT(epochs_of(history), ElementsAre(0, 1, 2));
  EXPECT_EQ(history.epochs[1].step, 40);
  EXPECT_EQ(history.epochs[1].train_loss, 1);
  EXPECT_EQ(history.epochs[1].accuracy, 0.65);
  EXPECT_EQ(history.epochs[1].images_per_second, 30000);
  ASSERT_EQ(history.steps.size(), 60U);
  EXPECT_EQ(history.steps[7].loss, 2 + std::cos(7.0));
  EXPECT_EQ(history.steps[7].lr, 0.2);
  ASSERT_EQ(history.norms.size(), 2U);
  EXPECT_EQ(history.norms[1].layer, "1 bn");
  ASSERT_EQ(history.norms[1].points.size(), 6U);
  const NormPoint& norm = history.norms[1].points[0];
  EXPECT_EQ(norm.input[2], 0);
  EXPECT_EQ(norm.batch_var.low, 1);
  EXPECT_EQ(norm.batch_var.median, 2.5);
  EXPECT_EQ(norm.batch_var.high, 4);
  EXPECT_EQ(norm.gradient_input, 0.3);
  EXPECT_EQ(history.setting("lr"), "0.2");
  EXPECT_EQ(history.setting("network"), "lenet-bn");
  EXPECT_EQ(history.setting("no such"), "");
  EXPECT_EQ(history.last_step(), 60);
  EXPECT_EQ(history.total_steps(), 60);
  EXPECT_EQ(text_in(history.end, "status"), "finished");
}

TEST(RunHistory, EveryCutIsReadUpToIt) {
  const std::string whole =
      lines_of(sample_records({.epochs = 2, .steps_per_epoch = 2, .steps = true, .norms = 1}));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const RunHistory history = history_of(whole.substr(0, size));
    const bool in_a_line = size > 0 && whole[size - 1] != '\n' && whole[size] != '\n';
    const bool says =
        std::ranges::find(history.missing, "The last line of the records is cut off and left out.") !=
        history.missing.end();
    EXPECT_EQ(says, in_a_line) << size;
    EXPECT_LE(history.epochs.size(), 2U);
  }
}

TEST(RunHistory, DamagedLinesAreLeftOutAndNamed) {
  std::vector<std::string> lines;
  for (const Json& record : sample_records({})) lines.push_back(one_line(record) + "\n");
  lines[2] = "{\"event\":\"epo\xff" + std::string(1, '\0') + "\n";
  lines.insert(lines.begin() + 1, "[1, 2]\n");
  std::string text;
  for (const std::string& line : lines) text += line;
  const RunHistory history = history_of(text);
  EXPECT_THAT(epochs_of(history), ElementsAre(0, 2));
  EXPECT_THAT(history.missing, ElementsAre("Lines 2 and 4 of the records cannot be read and are left out."));
  EXPECT_THAT(history_of(text.substr(0, text.find('\n') + 1) + "x\nx\nx\nx\nx\nx\nx\n").missing,
              ElementsAre("Lines 2, 3, 4, 5, 6 and 2 more of the records cannot be read and are left out."));
}

TEST(RunHistory, ValuesOfTheWrongKindAreMissingValues) {
  for (const char* value : {"null", "\"0.5\"", "[]", "{}", "true"}) {
    Json record = sample_epoch(0, 20);
    record["train_loss"] = Json::parse(value);
    const RunHistory history = history_of(one_line(record) + "\n");
    ASSERT_EQ(history.epochs.size(), 1U) << value;
    EXPECT_TRUE(std::isnan(history.epochs[0].train_loss)) << value;
    EXPECT_EQ(history.epochs[0].accuracy, 0.4);
  }
  for (const char* step : {"-1", "1.5", "\"3\"", "null", "18446744073709551615"}) {
    const RunHistory history =
        history_of("{\"event\":\"step\",\"loss\":1,\"step\":" + std::string(step) + "}\n");
    EXPECT_THAT(history.steps, IsEmpty()) << step;
    EXPECT_THAT(history.missing.front(), HasSubstr("Line 1 ")) << step;
  }
  for (const char* odd :
       {R"({"event":"bn","step":1,"layer":7,"channels":{"a":1}})", R"({"event":"bn","step":1})",
        R"({"event":"activation","step":1,"percentiles":[3]})",
        R"({"event":"start","config":[],"dataset":3,"versions":"x","changes":{"a":2}})",
        R"({"event":"end","divergence":[1],"status":{}})"})
    EXPECT_NO_THROW(history_of(std::string(odd) + "\n")) << odd;
}

TEST(RunHistory, NanAndInfinityOfOtherProgramsAreMissingValues) {
  const RunHistory history =
      history_of(R"({"event":"step","step":0,"loss":NaN,"accuracy":-Infinity,"lr":Infinity})"
                 "\n"
                 R"({"event":"step","step":1,"loss":1e999,"accuracy":0,"lr":1})"
                 "\n"
                 R"({"event":"step","step":2,"loss":2,"layer":"NaN \" Infinity","x":NaN})"
                 "\n");
  ASSERT_EQ(history.steps.size(), 3U);
  EXPECT_TRUE(std::isnan(history.steps[0].loss));
  EXPECT_TRUE(std::isnan(history.steps[0].lr));
  EXPECT_TRUE(std::isnan(history.steps[1].loss));
  EXPECT_EQ(history.steps[1].lr, 1);
  EXPECT_EQ(history.steps[2].loss, 2);
  EXPECT_EQ(history.missing.size(), 1U) << "the first record alone";
}

TEST(RunHistory, OfALineWithANumberOutOfRangeTheRestIsKept) {
  for (const std::string& number :
       std::vector<std::string>{"1e999", "-1e999", "12" + std::string(400, '0'), "12.5E+4000"}) {
    const RunHistory history =
        history_of(R"({"event":"epoch","epoch":0,"steps":7,"note":"1e999 \\","train_loss":)" + number +
                   R"(,"train_accuracy":1e-999,"test_accuracy":0.5})" + "\n");
    ASSERT_EQ(history.epochs.size(), 1U) << number;
    EXPECT_TRUE(std::isnan(history.epochs[0].train_loss)) << number;
    EXPECT_EQ(history.epochs[0].train_accuracy, 0);
    EXPECT_EQ(history.epochs[0].accuracy, 0.5);
  }
}

TEST(RunHistory, OfAStepMadeTwiceTheLaterCounts) {
  std::vector<Json> records = sample_records({.steps = true});
  Json again = records[5];  // step 4
  again["loss"] = 7.5;
  Json epoch = sample_epoch(1, 40);
  epoch["train_loss"] = 0.25;
  records.push_back(again);
  records.push_back(epoch);
  const RunHistory history = history_of(lines_of(records));
  EXPECT_EQ(history.steps.size(), 60U);
  EXPECT_EQ(history.steps[4].loss, 7.5);
  EXPECT_THAT(epochs_of(history), ElementsAre(0, 1, 2));
  EXPECT_EQ(history.epochs[1].train_loss, 0.25);
  EXPECT_TRUE(history.end.is_null()) << "the run went on after its end";
}

TEST(RunHistory, OfVeryManyRecordsOfALayerEquallyDistantOnesAreKept) {
  const std::int64_t steps = 5 * static_cast<std::int64_t>(most_layer_points) + 2;
  RunHistory told;  // while it trains
  std::string lines;
  for (std::int64_t step = 3; step < steps; ++step) {
    for (int layer = 0; layer < 2; ++layer) {
      const Json norm = sample_norm(step, layer, 1);
      for (const Json& record : {norm, sample_activation(norm)}) {
        told.add(record);
        lines += one_line(record) + "\n";
      }
    }
  }
  const RunHistory history = history_of(lines);
  ASSERT_EQ(history.norms.size(), 2U);
  ASSERT_EQ(history.activations.size(), 2U);
  const std::vector<NormPoint>& points = history.norms[1].points;
  EXPECT_LE(points.size(), most_layer_points + 1);
  EXPECT_GE(points.size(), most_layer_points / 2);
  EXPECT_EQ(history.norms[1].stride, 8);
  for (std::size_t i = 0; i + 1 < points.size(); ++i)
    ASSERT_EQ(points[i].step, 3 + 8 * static_cast<std::int64_t>(i));
  EXPECT_EQ(points.back().step, steps - 1) << "the last one is always kept";
  EXPECT_EQ(points.back().input[2], std::sin(static_cast<double>(steps - 1)));
  ASSERT_EQ(told.norms[1].points.size(), points.size());
  for (std::size_t i = 0; i < points.size(); ++i) EXPECT_EQ(told.norms[1].points[i].step, points[i].step);
  EXPECT_EQ(told.activations[0].points.back().step, history.activations[0].points.back().step);
}

TEST(RunHistory, SaysWhatOlderRecordsLack) {
  std::vector<Json> records = sample_records({});
  records[0]["versions"]["bntrain"] = "0.0.3";
  EXPECT_THAT(history_of(lines_of(records)).missing, ElementsAre(HasSubstr("recorded by version 0.0.3")));
  records.erase(records.begin());
  EXPECT_THAT(history_of(lines_of(records)).missing, ElementsAre(HasSubstr("The first record")));
  // Records that only a newer version knows are no damage.
  records.insert(records.begin(), sample_start({}));
  records.insert(records.begin() + 1, Json({{"event", "weather"}, {"step", 3}}));
  EXPECT_THAT(history_of(lines_of(records)).missing, IsEmpty());
}

TEST(RunHistory, AFileWithoutAnyRecordIsRefused) {
  const TemporaryFolder folder;
  const std::string file = folder.file("a.jsonl");
  EXPECT_THAT(error_message(ErrorKind::data, [&] { read_history(file, "a"); }), HasSubstr("cannot be read"));
  EXPECT_THAT(error_message(ErrorKind::data, [&] { read_history(folder.path(), "a"); }),
              HasSubstr("cannot be read"));
  std::ofstream(file) << "Epoch 0. Loss: 2.1\n";
  EXPECT_THAT(error_message(ErrorKind::data, [&] { read_history(file, "a"); }),
              HasSubstr("none of its lines is a record"));
}

}  // namespace
}  // namespace bntrain::report::test
