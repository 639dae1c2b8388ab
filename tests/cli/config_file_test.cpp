// What a configuration file may contain.
#include <filesystem>

#include "cli/configuration_fixture.hpp"

namespace bntrain::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

using ConfigFileTest = ConfigurationTest;

TEST_F(ConfigFileTest, TheFileTakesListsWithCommasBetweenTheirValues) {
  EXPECT_EQ(resolved({"--config", config("[train]\noptimizer = 'adamw'\nbetas = [0.8, 0.9]  # of adamw\n")})
                .at("betas"),
            "0.8,0.9");
  EXPECT_EQ(resolved({"--config", config("[train]\nrecord = [ \"bn\", 'activations' ]\n")}).at("record"),
            "bn,activations");
  EXPECT_EQ(resolved({"--config", config("[train]\noptimizer = 'adamw'\nbetas = [0.8, 0.8, ]\nlr = +0.5\n")})
                .at("betas"),
            "0.8,0.8");
}

TEST_F(ConfigFileTest, TheFileTakesCommentsQuotesAndSwitches) {
  const nlohmann::json config_read =
      resolved({"--config", config("# a comment\n\n  [ train ]  # the command\n"
                                   "lr=0.3# close\nbn-variance = 'unbiased'\nsave = \"" +
                                   folder.file("a # b.safetensors") + "\" # end\nsummary = false\r\n")});
  EXPECT_EQ(config_read.at("lr"), 0.3);
  EXPECT_EQ(config_read.at("bn-variance"), "unbiased");
  EXPECT_EQ(config_read.at("save"), folder.file("a # b.safetensors"));
}

TEST_F(ConfigFileTest, SwitchesOfTheFileWork) {
  const ProgramResult result = run_bntrain(small_run({"--config", config("[train]\nsummary = true\n")}));
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, HasSubstr("trainable"));
}

TEST_F(ConfigFileTest, EveryWayThatTomlWritesAKeyIsRead) {
  for (const char* text :
       {"\xef\xbb\xbf[train]\r\nlr = 0.25\r\nseed = 1_000\r\n", "train = { lr = 0.25, seed = 1000 }\n",
        "train.lr = 0.25\n\"train\".'seed' = 0x3e8\n", "[ \"train\" ]\nlr = +25e-2\nseed = \"1000\"",
        "[train]\nlr = \"\"\"\\\n  0.25\"\"\"\nseed = +1000 # end"}) {
    const nlohmann::json read = resolved({"--config", config(text)});
    EXPECT_EQ(read.at("lr"), 0.25) << text;
    EXPECT_EQ(read.at("seed"), 1000) << text;
  }
  const nlohmann::json lists = resolved(
      {"--config", config("[train]\noptimizer = 'adamw'\nbetas = [ # two\n  0.7, # one\n\n  0.8,\n]\n")});
  EXPECT_EQ(lists.at("betas"), "0.7,0.8");
}

TEST_F(ConfigFileTest, TheListsOfABenchAreArrays) {
  const ProgramResult result =
      run_bntrain({"bench", "--config",
                   config("[bench]\nlr = [0.1, 2e-1]\nnorm = ['batch', \"none\"]\nseeds = 1\nepochs = 1\n"
                          "init = 'torch'\nbatch-size = 64\nnetwork = 'fc4,bn,relu,fc10'\n"
                          "data = 'synthetic:shape=1x8x8,train=200,test=70'\nquiet = true\n"),
                   "--out", folder.file("bench")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto settings = nlohmann::json::parse(read_text(folder.file("bench/results.json"))).at("config");
  EXPECT_EQ(settings.at("lr"), nlohmann::json({0.1, 0.2}));
  EXPECT_EQ(settings.at("norm"), nlohmann::json({"batch", "none"}));
}

TEST_F(ConfigFileTest, WhatTheFileDoesNotMeanIsRefusedWithItsPlace) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> refused = {
      {"[train]\n\nepcohs = 3\n", {"line 3, column 1", "did you mean epochs?"}},
      {"[trian]\n", {"line 1, column 2", "did you mean train?"}},
      {"lr = 0.3\n", {"line 1", "'lr' comes before the first section, such as [train]"}},
      {"train = 5\n", {"line 1", "[train] is a section of keys"}},
      {"[[train]]\nlr = 1\n", {"line 1", "[[train]] begins a list of sections; write [train]"}},
      {"[train]\nlr = 1\n[train]\n", {"line 3", "cannot redefine"}},
      {"[train]\nlr\n", {"line 2, column 3", "expected '='"}},
      {"[train]\nlr =\n", {"line 2", "expected value"}},
      {"[train]\nlr = 0.1 0.2\n", {"line 2, column 10", "saw '0'"}},
      {"[train]\nlr = 0.1\nlr = 0.2\n", {"line 3", "cannot redefine existing floating-point 'lr'"}},
      {"[train]\nnorm = none\n", {"line 2, column 9", "text needs quotes"}},
      {"[train]\nout = ~/run\n", {"line 2", "text needs quotes"}},
      {"[train]\nlr = 2026-11-28\n", {"line 2, column 6", "'lr' has a date or a time"}},
      {"[train]\nlr = 12:30:00\n", {"line 2", "'lr' has a date or a time"}},
      {"[train]\nlr = { peak = 1 }\n", {"line 2", "'lr' is a key and not a section"}},
      {"[train.lr]\npeak = 1\n", {"line 1", "'lr' is a key and not a section"}},
      {"[[train.lr]]\npeak = 1\n", {"line 1", "'lr' is a key and not a section"}},
      {"[train]\nbetas = []\n", {"line 2", "the list of 'betas' is empty"}},
      {"[train]\nbetas = [[0.8], 0.9]\n", {"line 2", "a list in the list of 'betas'"}},
      {"[train]\nbetas = [0.8, 0.9\n", {"line 2", "array"}},
      {"[train]\nbetas = [0.8,,0.9]\n", {"line 2", "array"}},
      {"[train]\nbetas = [0.8 0.9]\n", {"line 2", "array"}},
      {"[train]\nbetas = [0.8, 0.9, 1]\n", {"two numbers", "c.toml, line 2)"}},
      {"[train]\nlr = [0.1, 0.2]\n", {"--lr", "c.toml, line 2)"}},
      {"[train]\nlr = nan\n", {"--lr", "c.toml, line 2)"}},
      {"[train]\nsave = \"x\n", {"line 2", "string"}},
      {"[train]\nsave = \"a\\u0000b\"\n", {"line 2", "\\u0000"}},
      {"[train]\nsave = \"\xe9\"\n", {"line 2", "save the file as UTF-8", "file:///..."}},
      {std::string("\xff\xfe[\0t\0", 6), {"line 1", "save the file as UTF-8"}},
      {"[train\n", {"line 1", "]"}},
      {"[train]\nhelp = true\n", {"help"}},
      {"[train]\njson = \"7x\"\n", {"true or false", "c.toml, line 2)"}}};
  for (const auto& [text, expected] : refused)
    for (const std::string& part : expected) EXPECT_THAT(refusal(text), HasSubstr(part)) << text;
}

TEST_F(ConfigFileTest, NamesAreExpandedAsAShellWould) {
  const ProgramSetup home{.environment = {{"HOME", folder.path().string()}, {"BNTRAIN_OUT", "~/run"}}};
  EXPECT_EQ(resolved({"--config", config("[train]\nsave = \"~/m.safetensors\"\n")}, home).at("save"),
            folder.file("m.safetensors"));
  EXPECT_TRUE(std::filesystem::exists(folder.file("m.safetensors")));
  EXPECT_TRUE(std::filesystem::exists(folder.file("run/last.safetensors")));
  EXPECT_EQ(
      resolved({"--save=~/n.safetensors"}, {.environment = {{"HOME", folder.path().string()}}}).at("save"),
      folder.file("n.safetensors"));
  EXPECT_THAT(refusal("[train]\nsave = \"~joe/m.safetensors\"\n"),
              AllOf(HasSubstr("write out that of another user"), HasSubstr("c.toml, line 2)")));
  EXPECT_EQ(resolved({"--save", "file://" + folder.file("caf%E9%20.safetensors")}).at("save"),
            "file://" + folder.file("caf%E9%20.safetensors"));
  EXPECT_TRUE(std::filesystem::exists(folder.file("caf\xe9 .safetensors")));
  for (const char* uri : {"file://host/x", "file:///a%0", "file:///a%00b", "file:///%zz", "file://"})
    EXPECT_EQ(run_bntrain(small_run({"--save", uri})).exit_code, 2) << uri;
  const ProgramResult homeless = run_bntrain(small_run({"--save", "~/m"}), {.environment = {{"HOME", ""}}});
  EXPECT_EQ(homeless.exit_code, 2);
  EXPECT_THAT(homeless.err, HasSubstr("HOME is not set"));
}

TEST_F(ConfigFileTest, WhatIsWrittenIsReadAgain) {
  const std::string name = folder.file("a\x01 b\x7f\n\"c\" \\ 'd' \xc2\x85 # \xe9.safetensors");
  const auto arguments = [&](const std::string& run) {
    return small_run(
        {"--epochs", "0", "--seed", "18446744073709551615", "--save", name, "--out", folder.file(run)});
  };
  ASSERT_EQ(run_bntrain(arguments("run")).exit_code, 0);
  ASSERT_TRUE(std::filesystem::remove(name));
  const ProgramResult again =
      run_bntrain({"--config", folder.file("run/config.toml"), "--out", folder.file("again")});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_TRUE(std::filesystem::exists(name));
  EXPECT_EQ(read_text(folder.file("again/config.toml")), read_text(folder.file("run/config.toml")));
  ASSERT_TRUE(std::filesystem::remove(name));
  EXPECT_EQ(run_bntrain({"--resume", folder.file("run")}).exit_code, 0);
  EXPECT_TRUE(std::filesystem::exists(name));
}

}  // namespace
}  // namespace bntrain::test
