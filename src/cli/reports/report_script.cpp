#include "cli/reports/report_script.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "bntrain/error.hpp"

extern char** environ;

namespace bntrain::cli {
namespace fs = std::filesystem;
namespace {

/// Beside the program in a build tree; in PREFIX/share for PREFIX/bin/bntrain. Empty when it is nowhere.
fs::path find_script() {
  std::error_code error;
  const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const fs::path& place : {folder / "share/bntrain", folder.parent_path() / "share/bntrain"}) {
    if (fs::exists(place / "plot_report.py", error)) return place / "plot_report.py";
  }
  return {};
}

/// The exit code; 127 when the program cannot be started. Its stdout goes to stderr, because ours is for
/// results; `silent`: both go nowhere.
int run(std::vector<std::string> words, bool silent = false) {
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (silent) posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  pid_t child = 0;
  const int error = posix_spawnp(&child, arguments.front(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return 127;
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return 127;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// The first Python that has matplotlib: the user's, which may be a virtual environment's, or the system's,
/// to which the distribution's packages belong. Empty when neither has it.
std::string find_python() {
  for (const char* python : {"python3", "/usr/bin/python3"}) {
    if (run({python, "-c", "import matplotlib"}, true) == 0) return python;
  }
  return "";
}

struct Tools {
  fs::path script;
  std::string python;
  std::string missing;  ///< empty: both are there
};

Tools find_tools() {
  Tools tools{find_script(), "", ""};
  if (tools.script.empty()) {
    tools.missing = "plot_report.py is not where bntrain was built or installed";
    return tools;
  }
  tools.python = find_python();
  if (tools.python.empty())
    tools.missing =
        "it needs Python with matplotlib: apt-get install python3-matplotlib, or scripts/setup.sh --report";
  return tools;
}

/// Why there is no report; empty when there is one.
std::string draw(const fs::path& folder) {
  const Tools tools = find_tools();
  if (!tools.missing.empty()) return tools.missing;
  const int code = run({tools.python, tools.script.string(), folder.string()});
  return code == 0 ? "" : fmt::format("{} ended with exit code {}", tools.script.string(), code);
}

}  // namespace

void expect_report_tools() {
  const std::string missing = find_tools().missing;
  if (!missing.empty())
    throw Error(
        ErrorKind::runtime, "report",
        missing + "; without --report the runs are made, and later the same command with it draws them");
}

void make_report(const fs::path& folder) {
  const std::string reason = draw(folder);
  if (reason.empty()) return;
  spdlog::warn("--report: {}. The results are complete: the same command makes the report from them", reason);
}

}  // namespace bntrain::cli
