#include "cli/report_script.hpp"

#include <spawn.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

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

/// The exit code, or -1 with errno when it could not be started. Its stdout goes to stderr: ours is for
/// results.
int run_python(const fs::path& script, const fs::path& folder) {
  std::array<std::string, 3> words = {"python3", script.string(), folder.string()};
  std::array<char*, 4> arguments = {words[0].data(), words[1].data(), words[2].data(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  pid_t child = 0;
  const int error = posix_spawnp(&child, words[0].c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  errno = error;
  if (error != 0) return -1;
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return -1;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

void make_report(const fs::path& folder) {
  const fs::path script = find_script();
  if (script.empty()) {
    spdlog::warn(
        "--report: plot_report.py is not where bntrain was installed or built; the results are complete");
    return;
  }
  const int code = run_python(script, folder);
  if (code == 0) {
    spdlog::info("the report is {}", (folder / "report.html").string());
    return;
  }
  const std::string reason = code < 0 ? std::string("python3 cannot be started: ") + std::strerror(errno)
                                      : fmt::format("{} ended with exit code {}", script.string(), code);
  spdlog::warn(
      "--report: {}; it needs Debian's packages python3 and python3-matplotlib. The results are complete: "
      "the "
      "same command with the packages installed makes the report from them",
      reason);
}

}  // namespace bntrain::cli
