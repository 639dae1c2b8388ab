#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "bntrain/dataset.hpp"
#include "support/error_message.hpp"

namespace bntrain {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Image number i is the pixels i, 100 + i with the label i % 4.
Dataset numbered(std::uint8_t count) {
  Dataset dataset;
  dataset.name = "numbered";
  dataset.classes = 4;
  dataset.train.shape = dataset.test.shape = {1, 1, 2, false};
  for (std::uint8_t i = 0; i < count; ++i) {
    for (const int pixel : {+i, 100 + i}) dataset.train.pixels.push_back(static_cast<std::uint8_t>(pixel));
    dataset.train.labels.push_back(i % 4);
  }
  dataset.train.count = count;
  dataset.test.pixels = {255, 255};
  dataset.test.labels = {3};
  dataset.test.count = 1;
  return dataset;
}

/// The numbers of the images of a part, whose other bytes must be theirs too.
std::vector<int> numbers(const ImageSet& part) {
  std::vector<int> result;
  EXPECT_EQ(part.pixels.size(), 2 * static_cast<std::size_t>(part.count));
  EXPECT_EQ(part.labels.size(), static_cast<std::size_t>(part.count));
  for (std::size_t i = 0; i < part.labels.size(); ++i) {
    const int number = part.pixels[2 * i];
    EXPECT_EQ(part.pixels[2 * i + 1], 100 + number);
    EXPECT_EQ(part.labels[i], number % 4);
    result.push_back(number);
  }
  return result;
}

TEST(HoldOut, PartsTheTrainingImagesInTheirOrder) {
  const Dataset whole = numbered(50);
  const Dataset split = hold_out(whole, 0.2, 7);
  std::vector<int> train = numbers(split.train), held = numbers(split.test);
  EXPECT_EQ(held.size(), 10u);
  EXPECT_TRUE(std::is_sorted(train.begin(), train.end()));
  EXPECT_TRUE(std::is_sorted(held.begin(), held.end()));
  std::vector<int> all;
  std::merge(train.begin(), train.end(), held.begin(), held.end(), std::back_inserter(all));
  EXPECT_EQ(all, numbers(whole.train));
  EXPECT_EQ(split.classes, 4);
  EXPECT_EQ(split.name, "numbered");
  EXPECT_EQ(split.test.shape, whole.train.shape);
}

TEST(HoldOut, TheSplitOfASeedNeverChanges) {
  EXPECT_THAT(numbers(hold_out(numbered(20), 0.25, 0).test), ElementsAre(0, 2, 4, 10, 13));
  EXPECT_NE(numbers(hold_out(numbered(20), 0.25, 0).test), numbers(hold_out(numbered(20), 0.25, 1).test));
}

TEST(HoldOut, TakesTheNearestWholeNumberOfImages) {
  EXPECT_EQ(hold_out(numbered(10), 0.14, 0).test.count, 1);
  EXPECT_EQ(hold_out(numbered(10), 0.16, 0).test.count, 2);
}

TEST(HoldOut, RefusesAnEmptyPart) {
  for (const double fraction : {0.01, 0.99}) {
    const std::string message = error_message(ErrorKind::usage, [&] { hold_out(numbered(10), fraction, 0); });
    EXPECT_THAT(message, HasSubstr("valid: "));
    EXPECT_THAT(message, HasSubstr("10 training images"));
  }
}

TEST(ContentDigest, SeesEverythingThatTrainingSees) {
  const Dataset original = numbered(10);
  const std::string digest = content_digest(original);
  EXPECT_EQ(digest.size(), 64u);
  EXPECT_EQ(content_digest(numbered(10)), digest);
  const std::vector<std::function<void(Dataset&)>> changes = {
      [](Dataset& d) { d.train.pixels[3] ^= 1; }, [](Dataset& d) { d.train.labels[3] ^= 1; },
      [](Dataset& d) { d.test.pixels[0] ^= 1; },  [](Dataset& d) { d.test.labels[0] ^= 1; },
      [](Dataset& d) { d.classes = 5; },          [](Dataset& d) { d.train.shape = {1, 2, 1, false}; },
      [](Dataset& d) { d = numbered(9); }};
  for (std::size_t i = 0; i < changes.size(); ++i) {
    Dataset other = original;
    changes[i](other);
    EXPECT_NE(content_digest(other), digest) << "change " << i;
  }
  Dataset renamed = original;
  renamed.name = "other";
  renamed.source = "/elsewhere";
  EXPECT_EQ(content_digest(renamed), digest);
}

}  // namespace
}  // namespace bntrain
