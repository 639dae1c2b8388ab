// The evaluation of a run as its page reads it back.
#include "report/evaluation_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "report/run_page.hpp"
#include "report/sample_run.hpp"
#include "support/temporary_folder.hpp"

namespace bntrain::report::test {
namespace {

using ::testing::HasSubstr;

class EvaluationFile : public ::testing::Test {
 protected:
  std::optional<EvaluationDetails> read(const Json& record) { return read_text(one_line(record)); }
  std::optional<EvaluationDetails> read_text(const std::string& text) {
    missing.clear();
    std::ofstream(folder.file("evaluation.json")) << text;
    return read_evaluation(folder.file("evaluation.json"), missing);
  }

  TemporaryFolder folder;
  std::vector<std::string> missing;
  Json good = {{"epoch", 1},
               {"step", 40},
               {"images", "valid"},
               {"count", 5},
               {"classes", {"a", "b"}},
               {"confusion", {{1, 2}, {0, 2}}},
               {"mistakes",
                {{{"index", 3},
                  {"label", 0},
                  {"predicted", 1},
                  {"probability", 0.75},
                  {"label_probability", 0.125},
                  {"png", "AA+/="}}}}};
};

TEST_F(EvaluationFile, IsReadBack) {
  const auto details = read(good);
  ASSERT_TRUE(details);
  EXPECT_EQ(details->images, "valid");
  EXPECT_EQ(details->support(0), 3);
  EXPECT_EQ(details->predicted(1), 4);
  EXPECT_EQ(details->right(1), 2);
  ASSERT_EQ(details->mistakes.size(), 1U);
  EXPECT_EQ(details->mistakes[0].png, "AA+/=");
  EXPECT_EQ(details->mistakes[0].label_probability, 0.125);
  EXPECT_TRUE(missing.empty());
}

TEST_F(EvaluationFile, ThatIsDamagedIsASentence) {
  const auto expect_damaged = [&](const std::optional<EvaluationDetails>& details, const std::string& what) {
    EXPECT_FALSE(details) << what;
    ASSERT_EQ(missing.size(), 1U) << what;
    EXPECT_THAT(missing[0], HasSubstr("evaluation.json is damaged"));
  };
  const std::string text = one_line(good);
  expect_damaged(read_text(text.substr(0, text.size() / 2)), "cut off");
  expect_damaged(read_text(""), "empty");
  for (const auto& [name, value] :
       std::vector<std::pair<std::string, Json>>{{"classes", 3},
                                                 {"classes", Json::array()},
                                                 {"classes", {"a", "b", "c"}},
                                                 {"confusion", {{1, 2}}},
                                                 {"confusion", {{1, 2}, {0}}},
                                                 {"confusion", {{1, -2}, {0, 2}}},
                                                 {"confusion", {{1, 1e300}, {0, 2}}},
                                                 {"count", -5},
                                                 {"epoch", -1},
                                                 {"mistakes", 7},
                                                 {"mistakes", {7}},
                                                 {"mistakes", {{{"label", 2}, {"predicted", 0}}}}}) {
    Json bad = good;
    bad[name] = value;
    expect_damaged(read(bad), name + one_line(value));
  }
  EXPECT_FALSE(read_evaluation(folder.file("none.json"), missing));
  EXPECT_THAT(missing.back(), HasSubstr("the run has no evaluation.json"));
}

TEST_F(EvaluationFile, ThatIsAFolderIsASentence) {
  std::filesystem::create_directories(folder.file("evaluation.json"));
  EXPECT_FALSE(read_evaluation(folder.file("evaluation.json"), missing));
  EXPECT_THAT(missing, ::testing::ElementsAre(HasSubstr("evaluation.json is a folder")));
}

TEST_F(EvaluationFile, ThatDoesNotFitTheRecordsIsNamed) {
  RecordedRun run = sample_run();
  run.folder = folder.path();
  for (const auto& [step, fits] : {std::pair(60, true), {61, false}}) {
    good["step"] = step;
    read(good);
    const bool says =
        run_page(run, Json::object()).find("evaluation.json does not fit the records") != std::string::npos;
    EXPECT_EQ(says, !fits) << step;
  }
}

TEST_F(EvaluationFile, ThatHoldsNoPictureAddsNone) {
  Json record = good;
  record["mistakes"][0]["png"] = "\"><script>";
  EXPECT_EQ(read(record)->mistakes.at(0).png, "");
  record["mistakes"][0]["png"] = std::string(700'000, 'A');
  EXPECT_EQ(read(record)->mistakes.at(0).png, "") << "the page stays small";
}

}  // namespace
}  // namespace bntrain::report::test
