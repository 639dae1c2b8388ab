#include "formats/progress_json.hpp"

#include <gtest/gtest.h>

#include <string>

namespace bntrain::test {
namespace {

using nlohmann::json;

/// The progress after one epoch and one step.
json example() {
  TrainProgress progress;
  progress.seed = 1;
  progress.steps = 2;
  progress.measured.resize(1);
  progress.epochs.resize(1);
  return progress_json(progress);
}

TEST(ProgressJson, IsReadBack) {
  EXPECT_EQ(progress_json(progress_from(example())), example());
  EXPECT_EQ(progress_json(progress_from(json::parse(example().dump()))), example());
}

// Every place of the JSON once more, with something that progress_json() does not write there.
TEST(ProgressJson, WhatItDidNotWriteIsRefused) {
  const json places = example().flatten();
  for (const auto& [place, whole] : places.items()) {
    const bool integer = whole.is_number_integer();
    for (const json& other :
         {json("1"), json("infinite"), json::object(), json(), integer ? json(1e300) : json()}) {
      json changed = example();
      changed[json::json_pointer(place)] = other;
      EXPECT_THROW(progress_from(changed), json::exception) << place << " " << other;
    }
  }
}

TEST(ProgressJson, ListsAreLists) {
  for (const char* list : {"measured", "epochs"}) {
    for (const json& other : {json(), json::object(), json{{"a", example()[list][0]}}}) {
      json changed = example();
      changed[list] = other;
      EXPECT_THROW(progress_from(changed), json::exception) << list << " " << other;
    }
  }
}

}  // namespace
}  // namespace bntrain::test
