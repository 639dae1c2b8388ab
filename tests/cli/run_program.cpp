#include "cli/run_program.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <utility>

extern char** environ;

namespace bntrain::test {
namespace {

struct Pipe {
  Pipe() {
    if (pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2 failed");
  }
  std::array<int, 2> ends{};
};

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

std::vector<std::string> child_environment(std::map<std::string, std::string> more) {
  // What these tests expect is the CPU's; tests/scripts/device_test.sh tells how a device is chosen.
  more.try_emplace("BNTRAIN_DEVICE", "cpu");
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::string name = text.substr(0, text.find('='));
    if (!text.starts_with("BNTRAIN_") && !more.contains(name)) environment.push_back(text);
  }
  for (const auto& [name, value] : more) environment.push_back(name + "=" + value);
  return environment;
}

/// False at the end of the stream.
bool read_some(int descriptor, std::string& text) {
  std::array<char, 4096> buffer{};
  const ssize_t count = read(descriptor, buffer.data(), buffer.size());
  if (count > 0) text.append(buffer.data(), static_cast<std::size_t>(count));
  return count > 0 || (count < 0 && errno == EINTR);
}

}  // namespace

ProgramResult run_bntrain(const std::vector<std::string>& arguments, const ProgramSetup& setup) {
  std::vector<std::string> words = {BNTRAIN_BINARY};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return run_command(std::move(words), setup);
}

ProgramResult run_in_shell(const std::string& script, const ProgramSetup& setup) {
  return run_command({"/bin/bash", "-c", script, BNTRAIN_BINARY}, setup);
}

ProgramResult run_command(std::vector<std::string> words, const ProgramSetup& setup) {
  std::vector<std::string> environment = child_environment(setup.environment);
  const std::vector<char*> argv = pointers(words);
  const std::vector<char*> envp = pointers(environment);
  Pipe out;
  Pipe err;
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("fork failed");
  if (child == 0) {
    dup2(out.ends[1], STDOUT_FILENO);
    dup2(err.ends[1], STDERR_FILENO);
    // The tests may have been started by nohup or in the background, which ignore signals.
    for (const int signal : {SIGINT, SIGQUIT, SIGHUP, SIGPIPE}) std::signal(signal, SIG_DFL);
    if (setup.prepare) setup.prepare();
    execve(argv[0], argv.data(), envp.data());
    _exit(127);
  }
  close(out.ends[1]);
  close(err.ends[1]);

  ProgramResult result;
  bool signalled = setup.signal == 0;
  const auto start = std::chrono::steady_clock::now();
  std::array<pollfd, 2> streams = {pollfd{out.ends[0], POLLIN, 0}, pollfd{err.ends[0], POLLIN, 0}};
  const std::array<std::string*, 2> texts = {&result.out, &result.err};
  while (streams[0].fd >= 0 || streams[1].fd >= 0) {
    poll(streams.data(), streams.size(), signalled || !setup.after ? -1 : 1);
    for (std::size_t i = 0; i < streams.size(); ++i) {
      if (streams[i].fd < 0 || streams[i].revents == 0 || read_some(streams[i].fd, *texts[i])) continue;
      close(streams[i].fd);
      streams[i].fd = -1;
    }
    const auto waited = std::chrono::steady_clock::now() - start;
    const bool due = setup.after                  ? waited >= *setup.after
                     : setup.signal_after.empty() ? result.out.find('\n') != std::string::npos
                                                  : result.err.find(setup.signal_after) != std::string::npos;
    if (!signalled && due) {
      signalled = true;
      if (setup.leaves_first) {
        close(streams[0].fd);
        streams[0].fd = -1;
      }
      if (setup.before_signal) setup.before_signal();
      kill(child, setup.signal);
      if (setup.second_signal != 0) kill(child, setup.second_signal);
    }
  }
  int status = 0;
  waitpid(child, &status, 0);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> result;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) result.push_back(line);
  return result;
}

std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

std::vector<nlohmann::json> json_lines(const std::string& text) {
  std::vector<nlohmann::json> result;
  for (const std::string& line : lines(text)) result.push_back(nlohmann::json::parse(line));
  return result;
}

std::vector<std::string> small_run(const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {"--data",       "synthetic:shape=1x8x8,train=200,test=70",
                                        "--network",    "conv4x3,bn,relu,maxpool2,fc10",
                                        "--batch-size", "32"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

}  // namespace bntrain::test
