// bntrain train --tensorboard, as far as it goes without TensorBoard; tests/interop reads the files with it.
#include "cli/resume_fixture.hpp"
#include "support/event_records.hpp"

namespace bntrain::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class TensorBoardTest : public ResumeProgramTest {
 protected:
  void SetUp() override {
#ifndef BNTRAIN_HAS_TENSORBOARD
    const ProgramResult result = run_bntrain(small_run({"--tensorboard", events}));
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_THAT(result.err, AllOf(HasSubstr("--tensorboard"), HasSubstr("protobuf-compiler")));
    EXPECT_FALSE(std::filesystem::exists(events));
    GTEST_SKIP() << "built without protobuf";
#endif
  }
  static ProgramResult run(const std::vector<std::string>& more) {
    return run_bntrain(small_run(more));
  }

  std::string events = folder.file("events");
};

TEST_F(TensorBoardTest, MakesTheFolderAndBelongsIntoTheRunsFolderToo) {
  const ProgramResult alone = run({"--epochs", "2", "--tensorboard", events + "/a/b", "--record", "bn"});
  EXPECT_EQ(alone.exit_code, 0) << alone.err;
  EXPECT_GT(event_records(event_files(events + "/a/b").at(0)).size(), 4U);
  const ProgramResult with_run = run({"--epochs", "2", "--tensorboard", run_folder(), "--out", run_folder()});
  EXPECT_EQ(with_run.exit_code, 0) << with_run.err;
  EXPECT_EQ(event_files(run_folder()).size(), 1U);
}

TEST_F(TensorBoardTest, RefusesWhatIsNoFolderOrHoldsAnotherRunBeforeDataAreRead) {
  write_text(folder.file("file"), "x");
  const auto refused = [](const std::string& place) {
    return run_bntrain({"--tensorboard", place, "--data", "/no/such/data"});
  };
  const ProgramResult file = refused(folder.file("file"));
  EXPECT_EQ(file.exit_code, 3);
  EXPECT_THAT(file.err, AllOf(HasSubstr("--tensorboard"), HasSubstr("name a folder")));
  const ProgramResult below = refused(folder.file("file/below"));
  EXPECT_EQ(below.exit_code, 3);
  EXPECT_THAT(below.err, AllOf(HasSubstr("--tensorboard"), HasSubstr("cannot be made")));

  ASSERT_EQ(run({"--epochs", "1", "--tensorboard", events}).exit_code, 0);
  const auto before = event_records(event_files(events).at(0));
  const ProgramResult second = refused(events);
  EXPECT_EQ(second.exit_code, 2);
  EXPECT_THAT(second.err, AllOf(HasSubstr("--tensorboard"), HasSubstr("already holds event files")));
  EXPECT_EQ(event_files(events).size(), 1U);
  EXPECT_EQ(event_records(event_files(events).at(0)), before);
}

TEST_F(TensorBoardTest, RefusedRunsLeaveNoFolder) {
  const ProgramResult result = run_bntrain({"--tensorboard", events, "--data", "/no/such/data"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_FALSE(std::filesystem::exists(events));
}

TEST_F(TensorBoardTest, DoesNotChangeWhatIsTrained) {
  ASSERT_EQ(run_bntrain(flags("plain")).exit_code, 0);
  std::vector<std::string> arguments = flags("shown");
  arguments.insert(arguments.end(), {"--tensorboard", events});
  ASSERT_EQ(run_bntrain(arguments).exit_code, 0);
  const auto model = [&](const std::string& name) {
    return read_checkpoint(file(name, "last.safetensors")).checkpoint.model;
  };
  EXPECT_TRUE(same_bits(model("shown"), model("plain")));
}

TEST_F(TensorBoardTest, AResumedRunGoesOnInAFileOfItsOwnInTheSameFolder) {
  const ProgramResult first =
      run({"--epochs", "2", "--out", run_folder(), "--tensorboard", events, "--log-every", "1"});
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(read_text(file("run", "config.toml")), Not(HasSubstr("tensorboard")))
      << "it would refuse its own folder";
  const ProgramResult more = resume("run", {"--epochs", "3"});
  EXPECT_EQ(more.exit_code, 0) << more.err;
  EXPECT_EQ(event_files(events).size(), 2U);
  // Version, start, configuration, 7 steps, mistakes, epoch.
  EXPECT_EQ(event_records(event_files(events).at(1)).size(), 3U + 7U + 2U);
  // The folder of another run is none that it continues.
  ASSERT_EQ(run({"--epochs", "1", "--tensorboard", folder.file("other")}).exit_code, 0);
  const ProgramResult into_other = resume("run", {"--epochs", "4", "--tensorboard", folder.file("other")});
  EXPECT_EQ(into_other.exit_code, 2);
  EXPECT_THAT(into_other.err, HasSubstr("already holds event files"));
  EXPECT_EQ(resume("run", {"--epochs", "4", "--tensorboard", folder.file("new")}).exit_code, 0);
}

TEST_F(TensorBoardTest, ACopyWritesIntoItselfAndNeverIntoTheOriginal) {
  ASSERT_EQ(run({"--epochs", "1", "--out", run_folder(), "--tensorboard", run_folder(), "--save",
                 run_folder() + "/model.safetensors"})
                .exit_code,
            0);
  ASSERT_EQ(run({"--epochs", "1", "--out", folder.file("apart"), "--tensorboard", events}).exit_code, 0);
  for (const char* name : {"run", "apart"})
    std::filesystem::copy(folder.file(name), folder.file(std::string(name) + " copied"));
  const std::string model = read_text(file("run", "model.safetensors"));
  const ProgramResult copy = resume("run copied", {"--epochs", "2"});
  EXPECT_EQ(copy.exit_code, 0) << copy.err;
  EXPECT_EQ(event_files(run_folder()).size(), 1U);
  EXPECT_EQ(event_files(folder.file("run copied")).size(), 2U);
  EXPECT_EQ(read_text(file("run", "model.safetensors")), model);
  EXPECT_NE(read_text(file("run copied", "model.safetensors")), model);
  // Events that are no part of the folder are the original's.
  const ProgramResult apart = resume("apart copied", {"--epochs", "2"});
  EXPECT_EQ(apart.exit_code, 2);
  EXPECT_THAT(apart.err, AllOf(HasSubstr("--tensorboard"), HasSubstr("apart copied is a copy of the run"),
                               HasSubstr("name another folder")));
  EXPECT_EQ(resume("apart copied", {"--epochs", "2", "--tensorboard", folder.file("new")}).exit_code, 0);
}

TEST_F(TensorBoardTest, AMovedRunGoesOnWhereItIs) {
  ASSERT_EQ(
      run({"--epochs", "1", "--out", run_folder(), "--tensorboard", run_folder() + "/events"}).exit_code, 0);
  std::filesystem::rename(run_folder(), folder.file("moved"));
  const ProgramResult more = resume("moved", {"--epochs", "2"});
  EXPECT_EQ(more.exit_code, 0) << more.err;
  EXPECT_EQ(event_files(folder.file("moved") + "/events").size(), 2U);
  EXPECT_FALSE(std::filesystem::exists(run_folder()));
}

TEST_F(TensorBoardTest, AFullDiskIsOneWarningAndTheFileStaysWhole) {
  const ProgramResult result = run_in_shell(
      "trap '' XFSZ; ulimit -f 8; exec \"$0\" --data synthetic:shape=1x8x8,train=200,test=70 --network fc10 "
      "--batch-size 32 --epochs 9 --tensorboard '" +
      events + "'");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(lines(result.out).size(), 9U);
  const std::size_t first = result.err.find("--tensorboard");
  ASSERT_NE(first, std::string::npos) << result.err;
  EXPECT_EQ(result.err.find("--tensorboard", first + 1), std::string::npos) << result.err;
  EXPECT_GT(event_records(event_files(events).at(0)).size(), 1U);
}

TEST_F(TensorBoardTest, OneProcessAtATimeWritesIntoAFolder) {
  std::filesystem::create_directory(events);
  std::string second;
  const ProgramResult first = run_bntrain(small_run({"--epochs", "40", "--tensorboard", events}),
                                          {.signal = SIGINT, .before_signal = [&] {
                                             second = run({"--tensorboard", events}).err;
                                           }});
  EXPECT_EQ(first.exit_code, 128 + SIGINT);
  EXPECT_THAT(second, HasSubstr("--tensorboard"));
  EXPECT_EQ(event_files(events).size(), 1U);
}

TEST_F(TensorBoardTest, AKilledRunLeavesAWholeFile) {
  const ProgramResult result = run_bntrain(small_run({"--epochs", "100000", "--log-every", "1",
                                                      "--tensorboard", events, "--record", "bn,activations"}),
                                           {.signal = SIGKILL});
  EXPECT_EQ(result.exit_code, 128 + SIGKILL);
  EXPECT_GT(event_records(event_files(events).at(0)).size(), 8U);
}

}  // namespace
}  // namespace bntrain::test
