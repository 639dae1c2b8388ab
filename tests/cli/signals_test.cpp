// Signals, and standard streams that are closed or go away.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "cli/run_program.hpp"
#include "formats/safetensors.hpp"

namespace bntrain::test {
namespace {

using ::testing::HasSubstr;

void ignore_interrupts() {
  std::signal(SIGINT, SIG_IGN);
  std::signal(SIGHUP, SIG_IGN);
}

void lose_reader() {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) _exit(1);
  dup2(ends[1], STDOUT_FILENO);
  close(ends[0]);
  close(ends[1]);
}

void fill_disk() {
  dup2(open("/dev/full", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
}

void close_streams() {
  close(STDIN_FILENO);
  close(STDOUT_FILENO);
}

class StreamTest : public ::testing::Test {
 protected:
  std::string model() const { return folder.file("m.safetensors"); }
  std::vector<std::string> run(const std::string& epochs) const {
    return small_run({"--epochs", epochs, "--quiet", "--save", model(), "--out", folder.file("run")});
  }
  std::string steps(const std::string& path) const { return read_safetensors(path).metadata.at("steps"); }

  TemporaryFolder folder;
};

TEST_F(StreamTest, AnIgnoredSignalStaysIgnored) {
  for (const int signal : {SIGINT, SIGHUP}) {
    const ProgramResult result = run_bntrain(small_run({"--epochs", "100", "--quiet"}),
                                             {.signal = signal, .prepare = ignore_interrupts});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(lines(result.out).size(), 100U);
  }
}

TEST_F(StreamTest, AnInterruptionThatTakesTheReaderOfStdoutAlongLosesNothing) {
  const ProgramResult result = run_bntrain(run("1000000"), {.signal = SIGINT, .leaves_first = true});
  EXPECT_EQ(result.exit_code, 128 + SIGINT);
  EXPECT_THAT(result.err, HasSubstr("interrupted"));
  EXPECT_EQ(steps(model()), steps(folder.file("run/last.safetensors")));
}

TEST_F(StreamTest, SoDoesOneOfABench) {
  const ProgramResult result = run_bntrain(
      {"bench", "--data", "synthetic:shape=1x8x8,train=200,test=70", "--network", "conv4x3,bn,relu,fc10",
       "--batch-size", "32", "--epochs", "20", "--seeds", "50", "--jobs", "1", "--out", folder.file("bench")},
      {.signal = SIGTERM, .signal_after = "[1/", .leaves_first = true});
  EXPECT_EQ(result.exit_code, 128 + SIGTERM);
  EXPECT_THAT(result.err, HasSubstr("interrupted"));
  const auto results = nlohmann::json::parse(read_text(folder.file("bench/results.json")));
  EXPECT_GE(results.at("runs_finished"), 1);
}

TEST_F(StreamTest, TwoSignalsAtOnceAreOneRequest) {
  const ProgramResult result = run_bntrain(run("1000000"), {.signal = SIGHUP, .second_signal = SIGTERM});
  EXPECT_THAT(result.exit_code, ::testing::AnyOf(128 + SIGHUP, 128 + SIGTERM));
  EXPECT_EQ(steps(model()), steps(folder.file("run/last.safetensors")));
}

TEST_F(StreamTest, ARunThatSavesGoesOnWithoutAReader) {
  const ProgramResult result = run_bntrain(run("3"), {.prepare = lose_reader});
  EXPECT_EQ(result.exit_code, 128 + SIGPIPE);
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(steps(model()), "21");
  EXPECT_EQ(steps(folder.file("run/last.safetensors")), "21");
}

TEST_F(StreamTest, ResultsThatDoNotFitOnTheDiskAreAnErrorAfterTheRun) {
  const ProgramResult result = run_bntrain(run("3"), {.prepare = fill_disk});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("cannot be written to stdout"));
  EXPECT_EQ(steps(model()), "21");
}

TEST_F(StreamTest, WhoeverHasReadEnoughIsToldNothing) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"info"},
                                                    {"--help"},
                                                    {"train", "--help"},
                                                    {"--version"},
                                                    {"--summary"},
                                                    small_run({"--epochs", "1000000", "--quiet"})}) {
    const ProgramResult result = run_bntrain(arguments, {.prepare = lose_reader});
    EXPECT_EQ(result.exit_code, 128 + SIGPIPE) << ::testing::PrintToString(arguments);
    EXPECT_EQ(result.err, "");
  }
}

TEST_F(StreamTest, StreamsThatAreClosedTakeNoFilesPlace) {
  const ProgramResult result = run_bntrain(run("2"), {.prepare = close_streams});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const auto records = json_lines(read_text(folder.file("run/metrics.jsonl")));
  EXPECT_EQ(records.size(), 4U) << "start, two epochs, end";
  EXPECT_EQ(steps(model()), "14");
}

}  // namespace
}  // namespace bntrain::test
