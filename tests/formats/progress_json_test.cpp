#include "formats/progress_json.hpp"

#include <gtest/gtest.h>

#include <string>

namespace bntrain::test {
namespace {

using nlohmann::json;

/// The progress after one epoch and one step.
json example_progress() {
  TrainProgress progress;
  progress.seed = 1;
  progress.steps = 2;
  EpochResult epoch;
  epoch.test.count = 1;
  progress.epochs.add(epoch);
  return progress_json(progress);
}

TEST(ProgressJson, IsReadBack) {
  EXPECT_EQ(progress_json(progress_from(example_progress())), example_progress());
  EXPECT_EQ(progress_json(progress_from(json::parse(example_progress().dump()))), example_progress());
}

// Every place of the JSON once more, with something that progress_json() does not write there.
TEST(ProgressJson, WhatItDidNotWriteIsRefused) {
  const json places = example_progress().flatten();
  for (const auto& [place, whole] : places.items()) {
    const bool integer = whole.is_number_integer();
    for (const json& other :
         {json("1"), json("infinite"), json::object(), json(), integer ? json(1e300) : json()}) {
      json changed = example_progress();
      changed[json::json_pointer(place)] = other;
      EXPECT_THROW(progress_from(changed), json::exception) << place << " " << other;
    }
  }
}

/// As format 2 had it.
json example_of_lists() {
  return json::parse(R"({"epochs": [{"eval_seconds": 0.5, "steps": 5, "test": [1.5, 0.25, "inf", 0.125, 20],
      "train": [1.75, 0.25, 1.75, 0.25, 80], "train_seconds": 0.25},
      {"eval_seconds": 0.5, "steps": 10, "test": [1.25, 0.25, 1.25, 0.25, 20],
      "train": [1.5, 0.5, 1.5, 0.5, 80], "train_seconds": 0.5}],
      "measured": [[24.5, 2, 16], [20.5, 5, 16]], "seed": 1, "steps": 12, "train_seconds": 0.125})");
}

TEST(ProgressJson, ListsOfEarlierFormatsAreRead) {
  const TrainProgress progress = progress_from_lists(example_of_lists());
  EXPECT_EQ(progress.epochs.count, 2);
  EXPECT_EQ(progress.epochs.train_seconds, 0.75);
  EXPECT_EQ(progress.epochs.best->epoch, 0) << "the first of equal ones";
  EXPECT_EQ(progress.epochs.last->epoch, 1);
  EXPECT_EQ(progress.epochs.last->train.accuracy, 0.5);
  ASSERT_EQ(progress.measured.size(), 2U);
  EXPECT_EQ(progress.measured[1].loss_sum, 20.5);
}

TEST(ProgressJson, ListsAreLists) {
  for (const char* list : {"measured", "epochs"}) {
    for (const json& other : {json(), json::object(), json{{"a", example_of_lists()[list][0]}}}) {
      json changed = example_of_lists();
      changed[list] = other;
      EXPECT_THROW(progress_from_lists(changed), json::exception) << list << " " << other;
    }
  }
}

TEST(ProgressJson, IsAsLongHoweverManyEpochsThereWere) {
  TrainProgress progress;
  EpochResult epoch;
  epoch.test.count = 1;
  progress.epochs.add(epoch);
  const std::size_t size = progress_json(progress).dump().size();
  for (epoch.epoch = 1; epoch.epoch < 10; ++epoch.epoch) progress.epochs.add(epoch);
  EXPECT_LE(progress_json(progress).dump().size(), size + 1) << "the count has a digit more";
}

}  // namespace
}  // namespace bntrain::test
