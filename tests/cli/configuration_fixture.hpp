// Runs of the program whose settings come from a configuration file.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cli/run_program.hpp"

namespace bntrain::test {

class ConfigurationTest : public ::testing::Test {
 protected:
  std::string config(const std::string& text) const {
    write_text(folder.file("c.toml"), text);
    return folder.file("c.toml");
  }

  /// The configuration that a run with these arguments resolved.
  nlohmann::json resolved(std::vector<std::string> arguments, const ProgramSetup& setup = {}) const {
    const std::string metrics = folder.file("metrics.jsonl");
    for (const auto& word : small_run({"--epochs", "0", "--quiet", "--metrics", metrics}))
      arguments.push_back(word);
    const ProgramResult result = run_bntrain(arguments, setup);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return json_lines(read_text(metrics)).at(0).at("config");
  }

  /// Standard error of a run that the configuration file stops.
  std::string refusal(const std::string& text) const {
    const ProgramResult result = run_bntrain({"--config", config(text)});
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.err, ::testing::HasSubstr("c.toml"));
    return result.err;
  }

  TemporaryFolder folder;
};

}  // namespace bntrain::test
