// What the program says about itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "cli/run_program.hpp"

namespace bntrain::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

/// The help as if its lines had no end.
std::string unwrapped(const std::string& help) {
  static const std::regex space("\\s+");
  return std::regex_replace(help, space, " ");
}

TEST(ProgramTest, PrintsItsVersion) {
  const ProgramResult result = run_bntrain({"--version"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, MatchesRegex("bntrain [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST(ProgramTest, HelpListsTheCommands) {
  const ProgramResult result = run_bntrain({"--help"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("train"), HasSubstr("time"), HasSubstr("info"), HasSubstr("--version")));
}

TEST(ProgramTest, HelpOfTrainListsFlagsAndDefaults) {
  const ProgramResult result = run_bntrain({"train", "--help"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(unwrapped(result.out),
              AllOf(HasSubstr("--epochs N"), HasSubstr("[0.2]"), HasSubstr("OLD value"),
                    HasSubstr("running statistics"), HasSubstr("BNTRAIN_THREADS for --threads")));
}

TEST(ProgramTest, TheHelpOfACommandIsItsOwn) {
  const std::string program = run_bntrain({"--help"}).out;
  ASSERT_THAT(program, HasSubstr("COMMAND --help lists"));
  for (const char* command :
       {"train", "report", "bench", "eval", "predict", "reproduce", "time", "export", "info"}) {
    const ProgramResult result = run_bntrain({command, "--help"});
    EXPECT_EQ(result.exit_code, 0) << command;
    EXPECT_THAT(result.out, Not(HasSubstr("COMMAND --help lists"))) << command;
    // info alone takes no values from elsewhere
    const bool told =
        unwrapped(result.out).find("a key of the [" + std::string(command) + "]") != std::string::npos;
    EXPECT_EQ(told, std::string(command) != "info") << command;
  }
}

TEST(ProgramTest, InfoNamesBuildDevicesAndData) {
  const ProgramResult result = run_bntrain({"info"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("version"), HasSubstr("compiler"), HasSubstr("CPU"), HasSubstr("v2"),
                    HasSubstr("cuda"), HasSubstr("/usr/share/datasets/fashion-mnist")));
}

TEST(ProgramTest, InfoAsJson) {
  const auto records = json_lines(run_bntrain({"info", "--json"}).out);
  ASSERT_EQ(records.size(), 1U);
  for (const char* name : {"version", "compiler", "build", "cpu", "cpu-isa", "cuda"}) {
    EXPECT_TRUE(records[0].at(name).is_string()) << name;
  }
  EXPECT_TRUE(records[0].at("data").is_array());
}

TEST(ProgramTest, TheCacheFolderIsSearchedFirst) {
  const TemporaryFolder folder;
  const ProgramResult result =
      run_bntrain({"info"}, {.environment = {{"XDG_CACHE_HOME", folder.file("")}}, .signal = 0});
  EXPECT_THAT(result.out, HasSubstr(folder.file("bntrain")));
}

}  // namespace
}  // namespace bntrain::test
