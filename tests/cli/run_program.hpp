// Runs the real bntrain and looks at what a user would see.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "support/temporary_folder.hpp"

namespace bntrain::test {

struct ProgramResult {
  int exit_code = -1;  ///< 128 + n when a signal killed it
  std::string out;
  std::string err;
};

struct ProgramSetup {
  std::map<std::string, std::string> environment =
      {};                         ///< in place of all BNTRAIN_* that the tests were started with
  int signal = 0;                 ///< sent when the first whole line is on stdout, or ...
  std::string signal_after = "";  ///< ... this is on stderr, or ...
  std::optional<std::chrono::microseconds> after = std::nullopt;  ///< ... so long after the start
  int second_signal = 0;                                          ///< sent directly after `signal`
  bool leaves_first = false;                 ///< the reader of stdout is gone before the signal is sent
  std::function<void()> before_signal = {};  ///< called here
  std::function<void()> prepare = {};        ///< called in the new process before the program starts
};

ProgramResult run_bntrain(const std::vector<std::string>& arguments, const ProgramSetup& setup = {});

/// bash with that script, in which "$0" is bntrain: for limits, terminals and pipes.
ProgramResult run_in_shell(const std::string& script, const ProgramSetup& setup = {});
/// The first word is the program's path.
ProgramResult run_command(std::vector<std::string> words, const ProgramSetup& setup = {});

std::vector<std::string> lines(const std::string& text);
std::string read_text(const std::filesystem::path& path);
void write_text(const std::filesystem::path& path, const std::string& text);
/// Every line as a JSON object.
std::vector<nlohmann::json> json_lines(const std::string& text);

/// The data of small_run().
inline const std::string kSmallData = "synthetic:shape=1x8x8,train=200,test=70";

/// Flags of a run that takes milliseconds, with `more` behind them.
std::vector<std::string> small_run(const std::vector<std::string>& more = {});

}  // namespace bntrain::test
