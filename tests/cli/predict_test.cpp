// bntrain predict on pictures and on images of a data set.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "bntrain/dataset.hpp"
#include "cli/edit_model.hpp"
#include "cli/run_program.hpp"
#include "formats/safetensors.hpp"
#include "support/picture_files.hpp"

namespace bntrain::test {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

class PredictTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const ProgramResult result = run_bntrain(
        small_run({"--epochs", "2", "--lr", "0.1", "--init", "he", "--quiet", "--save", model()}));
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }
  std::string model() const { return folder_.file("m.safetensors"); }
  std::string file(const std::string& name) const { return folder_.file(name); }

  ProgramResult predict(const std::vector<std::string>& more, const ProgramSetup& setup = {}) const {
    std::vector<std::string> arguments = {"predict", model(), "--quiet"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_bntrain(arguments, setup);
  }
  std::vector<json> predict_json(std::vector<std::string> more) const {
    more.emplace_back("--json");
    const ProgramResult result = predict(more);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.err, "");
    return json_lines(result.out);
  }
  void expect_refusal(const ProgramResult& result, int exit_code,
                      const std::vector<std::string>& words) const {
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, StartsWith("error: "));
    EXPECT_EQ(lines(result.err).size(), 1U) << result.err;
    for (const std::string& word : words) EXPECT_THAT(result.err, HasSubstr(word));
  }
  /// Test image `number` of the synthetic set as a grey PNG.
  void write_test_image(std::int64_t number, const std::string& path, bool inverted = false) const {
    const ImageSet set = make_synthetic(parse_synthetic("shape=1x8x8,train=200,test=70")).test;
    Pixels rgb;
    for (std::int64_t i = 0; i < 64; ++i) {
      const std::uint8_t value = set.pixels[static_cast<std::size_t>(64 * number + i)];
      rgb.insert(rgb.end(), 3, static_cast<std::uint8_t>(inverted ? 255 - value : value));
    }
    write_png(path, 8, 8, rgb);
  }

  TemporaryFolder folder_;
};

TEST_F(PredictTest, APictureOfADataSetsImageIsThatImage) {
  write_test_image(5, file("a.png"));
  write_test_image(6, file("b.png"), true);
  const std::vector<json> expected = predict_json({"--data", kSmallData, "--range", "5:6", "--top", "10"});
  ASSERT_EQ(expected.size(), 2U);
  EXPECT_EQ(expected[0].at("image"), "test 5");
  EXPECT_EQ(predict_json({file("a.png"), "--top", "10"}).at(0).at("top"), expected[0].at("top"));
  EXPECT_EQ(predict_json({file("b.png"), "--invert", "--top", "10"}).at(0).at("top"), expected[1].at("top"));
  EXPECT_NE(predict_json({file("b.png"), "--top", "10"}).at(0).at("top"), expected[1].at("top"));
}

TEST_F(PredictTest, ProbabilitiesFallAndAddUpToOne) {
  for (const json& answer : predict_json({"--data", kSmallData, "--range", "0:69", "--top", "10"})) {
    double sum = 0, before = 1;
    for (const json& each : answer.at("top")) {
      const double probability = each.at("probability");
      EXPECT_LE(probability, before);
      sum += before = probability;
    }
    EXPECT_EQ(answer.at("top").size(), 10U);
    EXPECT_NEAR(sum, 1, 1e-9);
  }
}

TEST_F(PredictTest, TheFirstOfTheTopIsWhatEvalCounts) {
  const ProgramResult evaluated = run_bntrain({"eval", model(), "--data", kSmallData, "--quiet", "--json"});
  int right = 0;
  for (const json& answer : predict_json({"--data", kSmallData, "--range", "0:69"}))
    right += answer.at("top").at(0).at("class") == answer.at("label") ? 1 : 0;
  EXPECT_EQ(json::parse(evaluated.out).at("results").at(0).at("right"), right);
}

TEST_F(PredictTest, OneLineAnImageForPeople) {
  write_test_image(5, file("a.png"));
  const ProgramResult result = predict({file("a.png"), "--data", kSmallData, "--range", "7", "--top", "2"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(lines(result.out),
              ElementsAre(MatchesRegex(".*/a\\.png: [0-9] 0\\.[0-9]{4}, [0-9] 0\\.[0-9]{4}"),
                          MatchesRegex("test 7 \\([0-9]\\): [0-9] [01]\\.[0-9]{4}, [0-9] 0\\.[0-9]{4}")));
}

TEST_F(PredictTest, AFolderStandsForItsPicturesSorted) {
  std::filesystem::create_directories(file("pictures/d"));
  write_test_image(3, file("pictures/d/1.png"));
  write_test_image(1, file("pictures/b.png"));
  write_test_image(2, file("pictures/a.png"));
  write_jpeg(file("pictures/c.jpg"), 8, 8, Pixels(192, 90));
  write_text(file("pictures/notes.txt"), "no picture");
  std::vector<std::string> names;
  const ProgramResult result = predict({file("pictures"), "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  for (const json& answer : json_lines(result.out)) names.push_back(answer.at("image"));
  EXPECT_THAT(names, ElementsAre(file("pictures/a.png"), file("pictures/b.png"), file("pictures/c.jpg"),
                                 file("pictures/d/1.png")));
  EXPECT_THAT(lines(result.err), ElementsAre(AllOf(StartsWith("warning: "), HasSubstr("notes.txt"))));
}

TEST_F(PredictTest, OneBadPictureDoesNotEndTheOthers) {
  std::filesystem::create_directory(file("pictures"));
  for (const std::string name : {"a", "b", "c"}) write_test_image(1, file("pictures/" + name + ".png"));
  write_text(file("pictures/b.png"), read_text(file("pictures/b.png")).substr(0, 60));
  write_text(file("pictures/d.webp"), "RIFF....WEBPVP8 ");
  write_text(file("pictures/e.JPG"), "");
  for (const bool as_json : {false, true}) {
    std::vector<std::string> arguments = {file("missing.png"), file("pictures")};
    if (as_json) arguments.emplace_back("--json");
    const ProgramResult result = predict(arguments);
    EXPECT_EQ(result.exit_code, 3);
    EXPECT_THAT(lines(result.out), ElementsAre(HasSubstr("/a.png"), HasSubstr("/c.png")));
    EXPECT_THAT(lines(result.err),
                ElementsAre(AllOf(StartsWith("error: "), HasSubstr("missing.png: there is no such file")),
                            AllOf(StartsWith("error: "), HasSubstr("b.png: damaged PNG")),
                            AllOf(StartsWith("error: "), HasSubstr("d.webp"), HasSubstr("a WebP picture")),
                            AllOf(StartsWith("error: "), HasSubstr("e.JPG: is empty"))));
  }
}

TEST_F(PredictTest, WarningsAndOrientationsOfPicturesAreSaid) {
  write_turned_jpeg(file("turned.jpg"), 8, 8, Pixels(192, 90), 6);
  write_jpeg(file("cut.jpg"), 8, 8, Pixels(192, 90));
  const std::string jpeg = read_text(file("cut.jpg"));
  write_text(file("cut.jpg"), jpeg.substr(0, jpeg.size() - 2));
  const ProgramResult result = run_bntrain({"predict", model(), file("turned.jpg"), file("cut.jpg")});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(lines(result.out).size(), 2U);
  EXPECT_THAT(result.err, AllOf(HasSubstr("turned.jpg: turned upright, as its Exif orientation says"),
                                HasSubstr("warning: " + file("cut.jpg") + ": Premature end of JPEG file")));
}

TEST_F(PredictTest, DamagedAndForeignFilesAreRefusedByNameAndReason) {
  write_png(file("a.png"), 8, 8, Pixels(192, 7));
  const std::string png = read_text(file("a.png"));
  write_text(file("cut.png"), png.substr(0, png.size() / 2));
  expect_refusal(predict({file("cut.png")}), 3, {file("cut.png"), "damaged PNG"});
  write_jpeg(file("a.jpg"), 64, 64, Pixels(64 * 64 * 3, 7));
  const std::string jpeg = read_text(file("a.jpg"));
  write_text(file("cut.jpg"), jpeg.substr(0, jpeg.size() - 20));
  expect_refusal(predict({file("cut.jpg")}), 3, {file("cut.jpg"), "damaged JPEG"});
  write_text(file("page.png"), "<html>");
  expect_refusal(predict({file("page.png")}), 3, {file("page.png"), "neither a PNG nor a JPEG"});
  expect_refusal(predict({file("missing.png")}), 3, {file("missing.png"), "no such file"});
  std::filesystem::create_directory(file("empty"));
  expect_refusal(predict({file("empty")}), 3, {file("empty"), "no PNG or JPEG"});
}

TEST_F(PredictTest, PicturesThatWouldBeDistortedAreRefused) {
  write_png(file("wide.png"), 16, 8, Pixels(3 * 16 * 8, 7));
  expect_refusal(predict({file("wide.png")}), 3, {file("wide.png"), "16 x 8", "8 x 8", "crop or pad"});
}

TEST_F(PredictTest, LogitsThatAreNoNumbersNameNoClass) {
  overflow_logits(model());
  const ProgramResult result = predict({"--data", kSmallData, "--range", "3"});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.out, HasSubstr("no class"));
  EXPECT_THAT(result.err,
              AllOf(HasSubstr(model()), HasSubstr("1 of 1 images have logits that are not finite")));
  const ProgramResult record = predict({"--data", kSmallData, "--range", "3", "--json"});
  EXPECT_EQ(json::parse(record.out).at("top"), json::array());
}

TEST_F(PredictTest, AFileWithoutMetadataNeedsToBeDescribed) {
  write_test_image(5, file("a.png"));
  const std::vector<json> expected = predict_json({file("a.png")});
  write_safetensors(model(), {read_safetensors(model()).state, {}});
  std::vector<std::string> arguments = {file("a.png")};
  for (const auto& [flag, value] :
       std::vector<std::pair<std::string, std::string>>{{"--network", "conv4x3,bn,relu,maxpool2,fc10"},
                                                        {"--input", "1x8x8"},
                                                        {"--classes", "10"},
                                                        {"--bn-eps", "1e-5"}}) {
    expect_refusal(predict(arguments), 2, {model(), flag});
    arguments.insert(arguments.end(), {flag, value});
  }
  EXPECT_EQ(predict_json(arguments), expected);
}

TEST_F(PredictTest, RequestsThatMakeNoSenseAreRefused) {
  expect_refusal(predict({}), 2, {"IMAGE", "--range"});
  expect_refusal(run_bntrain({"predict"}), 2, {"predict needs MODEL"});
  expect_refusal(predict({"--data", kSmallData, "--range", "60:70"}), 2, {"--range", "0 to 69"});
  for (const std::string range : {":", "3:", ":3", "5:4", "-1:4", "1:2:3", "a:b", "1.5"})
    expect_refusal(predict({"--data", kSmallData, "--range=" + range}), 2, {"--range", "'" + range + "'"});
  expect_refusal(predict({"--data", kSmallData, "--range", "1", "--top", "0"}), 2, {"--top", "'0'"});
  expect_refusal(predict({"--data", kSmallData, "--range", "1", "--input", "8x8"}), 2,
                 {"--input", "'8x8'", "1x28x28"});
  expect_refusal(predict({"--data", kSmallData, "--range", "1", "--epochs", "1"}), 2,
                 {"unknown flag --epochs"});
  expect_refusal(predict({"--data", "synthetic:shape=1x9x9", "--range", "1"}), 3,
                 {model(), "(1, 8, 8)", "(1, 9, 9)"});
}

TEST_F(PredictTest, NamesFashionMnistsClasses) {
  ASSERT_EQ(run_bntrain({"--steps", "5", "--quiet", "--save", model()}).exit_code, 0);
  const ProgramResult result = predict({"--range", "0:1", "--top", "10"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(lines(result.out),
              ElementsAre(AllOf(StartsWith("test 0 (Ankle boot): "), HasSubstr("T-shirt/top 0.")),
                          StartsWith("test 1 (Pullover): ")));
}

}  // namespace
}  // namespace bntrain::test
