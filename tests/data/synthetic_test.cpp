#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "bntrain/dataset.hpp"
#include "core/digest.hpp"
#include "data/idx_files.hpp"

namespace bntrain::test {
namespace {

std::string sha256(const Bytes& bytes) {
  Sha256 digest;
  digest.update(bytes.data(), bytes.size());
  return digest.hex();
}

/// Share of test images whose nearest class mean of the training images is that of their class.
double nearest_mean_accuracy(const Dataset& dataset) {
  const auto size = static_cast<std::size_t>(dataset.train.shape.size());
  const auto classes = static_cast<std::size_t>(dataset.classes);
  std::vector<std::vector<double>> means(classes, std::vector<double>(size));
  std::vector<double> counts(classes);
  for (std::size_t n = 0; n < dataset.train.labels.size(); ++n) {
    for (std::size_t i = 0; i < size; ++i)
      means[dataset.train.labels[n]][i] += dataset.train.pixels[n * size + i];
    counts[dataset.train.labels[n]] += 1;
  }
  int right = 0;
  for (std::size_t n = 0; n < dataset.test.labels.size(); ++n) {
    std::size_t nearest = 0;
    double smallest = std::numeric_limits<double>::infinity();
    for (std::size_t c = 0; c < classes; ++c) {
      double distance = 0;
      for (std::size_t i = 0; i < size; ++i) {
        distance += std::pow(dataset.test.pixels[n * size + i] - means[c][i] / counts[c], 2);
      }
      if (distance < smallest) smallest = distance, nearest = c;
    }
    right += nearest == dataset.test.labels[n];
  }
  return right / static_cast<double>(dataset.test.labels.size());
}

TEST(Synthetic, HasTheShapesThatWereAskedFor) {
  const Dataset dataset = make_synthetic(parse_synthetic("shape=3x5x7,classes=4,train=10,test=6"));
  EXPECT_EQ(dataset.name, "synthetic");
  EXPECT_EQ(dataset.source, "synthetic:shape=3x5x7,classes=4,train=10,test=6,seed=0,noise=0.5");
  EXPECT_EQ(dataset.classes, 4);
  EXPECT_FALSE(dataset.known_digests);
  EXPECT_EQ(dataset.train.shape, (Shape{3, 5, 7, false}));
  EXPECT_EQ(dataset.test.shape, dataset.train.shape);
  EXPECT_EQ(dataset.train.count, 10);
  EXPECT_EQ(dataset.test.count, 6);
  EXPECT_EQ(dataset.train.pixels.size(), 1050u);
  EXPECT_EQ(dataset.test.pixels.size(), 630u);
  EXPECT_EQ(dataset.train.labels, (Bytes{0, 1, 2, 3, 0, 1, 2, 3, 0, 1}));
  EXPECT_EQ(dataset.test.labels, (Bytes{0, 1, 2, 3, 0, 1}));
}

TEST(Synthetic, BytesDependOnTheSpecificationAlone) {
  const Dataset dataset = make_synthetic({});
  EXPECT_EQ(dataset.train.pixels, make_synthetic({}).train.pixels);
  // These numbers are part of every recorded result with synthetic data.
  EXPECT_EQ(sha256(dataset.train.pixels), "41c8d7165bdf79a4bf29ded7e3531434c4da7b019580cff9d5aa1987b46a6c13");
  EXPECT_EQ(sha256(dataset.test.pixels), "9b12c8a64cc449e987cfecdaac5940efa0f1696ee3fdcaedb9eeef44e94ebf5b");
}

TEST(Synthetic, AnotherSeedGivesOtherBytes) {
  std::set<std::string> seen;
  for (const char* seed : {"seed=0", "seed=1", "seed=4294967296", "seed=18446744073709551615"}) {
    EXPECT_TRUE(seen.insert(sha256(make_synthetic(parse_synthetic(seed)).train.pixels)).second) << seed;
  }
}

TEST(Synthetic, NoTwoImagesAreAlike) {
  const Dataset dataset = make_synthetic({});
  std::set<std::string> seen;
  for (const ImageSet* set : {&dataset.train, &dataset.test}) {
    for (auto image = set->pixels.begin(); image != set->pixels.end(); image += set->shape.size()) {
      EXPECT_TRUE(seen.insert(std::string(image, image + set->shape.size())).second);
    }
  }
}

TEST(Synthetic, ImagesDoNotChangeWithTheirNumber) {
  const Dataset few = make_synthetic(parse_synthetic("train=5,test=4"));
  const Dataset many = make_synthetic(parse_synthetic("train=50,test=40"));
  EXPECT_TRUE(std::equal(few.train.pixels.begin(), few.train.pixels.end(), many.train.pixels.begin()));
  EXPECT_TRUE(std::equal(few.test.pixels.begin(), few.test.pixels.end(), many.test.pixels.begin()));
}

TEST(Synthetic, MixesPatternAndNoise) {
  const auto pixels = [](const std::string& text) {
    return make_synthetic(parse_synthetic(text)).train.pixels;
  };
  const Bytes pattern = pixels("train=1,noise=0");
  const Bytes noise = pixels("train=1,noise=1");
  for (const double share : {0.25, 0.5, 0.75}) {
    const Bytes mixed = pixels("train=1,noise=" + std::to_string(share));
    ASSERT_EQ(mixed.size(), pattern.size());
    for (std::size_t i = 0; i < mixed.size(); ++i) {
      EXPECT_EQ(mixed[i], std::floor((1 - share) * pattern[i] + share * noise[i] + 0.5));
    }
  }
}

TEST(Synthetic, IsLearnableUntilItIsNoiseAlone) {
  EXPECT_EQ(nearest_mean_accuracy(make_synthetic({})), 1.0);
  EXPECT_GE(nearest_mean_accuracy(make_synthetic(parse_synthetic("noise=0.7"))), 0.98);
  EXPECT_LE(nearest_mean_accuracy(make_synthetic(parse_synthetic("noise=1"))), 0.2);
}

TEST(ParseSynthetic, HasADefaultForEveryKey) {
  const SyntheticSpec spec = parse_synthetic("");
  EXPECT_EQ(spec.shape, (Shape{1, 12, 12, false}));
  EXPECT_EQ(spec.classes, 10);
  EXPECT_EQ(spec.train, 2048);
  EXPECT_EQ(spec.test, 512);
  EXPECT_EQ(spec.seed, 0u);
  EXPECT_EQ(spec.noise, 0.5);
}

TEST(ParseSynthetic, ReadsEveryKeyInAnyOrder) {
  const SyntheticSpec spec =
      parse_synthetic("noise=1e-3,seed=18446744073709551615,test=1,train=10000000,classes=256,shape=2x3x4");
  EXPECT_EQ(spec.shape, (Shape{2, 3, 4, false}));
  EXPECT_EQ(spec.classes, 256);
  EXPECT_EQ(spec.train, 10'000'000);
  EXPECT_EQ(spec.test, 1);
  EXPECT_EQ(spec.seed, std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(spec.noise, 1e-3);
}

struct BadText {
  std::string text;
  std::string problem;
};

class ParseSyntheticRefuses : public testing::TestWithParam<BadText> {};

TEST_P(ParseSyntheticRefuses, AndSaysWhatIsAllowed) {
  EXPECT_THAT(error_of([&] { parse_synthetic(GetParam().text); }), IsUsageError(GetParam().problem));
}

const std::string sides = ": expected CHANNELSxHEIGHTxWIDTH, each from 1 to 4096";
const std::string class_range = ": expected a whole number from 2 to 256";
const std::string count_range = ": expected a whole number from 1 to 10000000";
const std::string seed_range = ": expected a whole number from 0 to 18446744073709551615";
const std::string noise_range = ": expected a number from 0 to 1";

INSTANTIATE_TEST_SUITE_P(
    Texts, ParseSyntheticRefuses,
    testing::Values(
        BadText{"shape=1x12", "shape=1x12" + sides}, BadText{"shape=", "shape=" + sides},
        BadText{"shape", "shape=" + sides}, BadText{"shape=1x12x12x1", "shape=1x12x12x1" + sides},
        BadText{"shape=1x12x", "shape=1x12x" + sides}, BadText{"shape=1xx12", "shape=1xx12" + sides},
        BadText{"shape=0x1x1", "shape=0x1x1" + sides}, BadText{"shape=1x4097x1", "shape=1x4097x1" + sides},
        BadText{"shape=1x1x-1", "shape=1x1x-1" + sides}, BadText{"shape=1x1x9999999999999999999", sides},
        BadText{"classes=1", "classes=1" + class_range}, BadText{"classes=257", "classes=257" + class_range},
        BadText{"classes=ten", "classes=ten" + class_range},
        BadText{"classes=3.5", "classes=3.5" + class_range},
        BadText{"classes= 3", "classes= 3" + class_range}, BadText{"train=0", "train=0" + count_range},
        BadText{"train=10000001", "train=10000001" + count_range}, BadText{"train=", "train=" + count_range},
        BadText{"test=-5", "test=-5" + count_range}, BadText{"test=1e3", "test=1e3" + count_range},
        BadText{"test=99999999999999999999", "test=99999999999999999999" + count_range},
        BadText{"seed=-1", "seed=-1" + seed_range}, BadText{"seed=18446744073709551616", seed_range},
        BadText{"noise=1.01", "noise=1.01" + noise_range}, BadText{"noise=-0.1", "noise=-0.1" + noise_range},
        BadText{"noise=nan", "noise=nan" + noise_range}, BadText{"noise=inf", "noise=inf" + noise_range},
        BadText{"noise=half", "noise=half" + noise_range}, BadText{"noise=0.5x", "noise=0.5x" + noise_range},
        BadText{"colour=3", "\"colour=3\": expected KEY=VALUE with one of the keys shape, classes, train"},
        BadText{"train", "train=" + count_range}, BadText{"=3", "\"=3\": expected KEY=VALUE"},
        BadText{",train=5", "\"\": expected KEY=VALUE"},
        BadText{"train=5,,test=5", "\"\": expected KEY=VALUE"},
        BadText{"train=5,", "nothing follows the last comma"},
        BadText{"seed=1,seed=1", "seed is given twice"},
        BadText{"shape=16x256x256,train=4000,test=97",
                "are 4296019969 bytes; at most 4294967296 are allowed"}));

TEST(MakeSynthetic, ChecksASpecificationThatWasNotParsed) {
  SyntheticSpec spec;
  spec.classes = 300;
  EXPECT_THAT(error_of([&] { make_synthetic(spec); }), IsUsageError("classes=300" + class_range));
  spec = {};
  spec.train = -1;
  EXPECT_THAT(error_of([&] { make_synthetic(spec); }), IsUsageError("train=-1" + count_range));
  spec = {};
  spec.noise = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(error_of([&] { make_synthetic(spec); }), IsUsageError("noise=nan" + noise_range));
}

}  // namespace
}  // namespace bntrain::test
