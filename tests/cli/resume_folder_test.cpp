// bntrain train --resume finds the run and its files: by the checkpoint's name, from another working
// directory, after a move, and without a whole checkpoint.
#include "cli/resume_fixture.hpp"

namespace bntrain::test {
namespace {

namespace fs = std::filesystem;

using ::testing::AllOf;
using ::testing::HasSubstr;

/// The working directory of the programs that are run.
class Within {
 public:
  explicit Within(const fs::path& folder) : before_(fs::current_path()) { fs::current_path(folder); }
  ~Within() { fs::current_path(before_); }
  Within(const Within&) = delete;
  Within& operator=(const Within&) = delete;

 private:
  fs::path before_;
};

/// The four files of a data set: 16 training and 8 test images of 4x4, 10 classes.
void write_images(const fs::path& folder) {
  fs::create_directories(folder);
  for (const auto& [name, count] : {std::pair("train", '\x10'), {"t10k", '\x08'}}) {
    const std::string counts = std::string(3, '\0') + count;
    std::string images("\0\0\x08\x03", 4), labels("\0\0\x08\x01", 4);
    images += counts + std::string("\0\0\0\x04\0\0\0\x04", 8);
    labels += counts;
    for (char i = 0; i < count; ++i) {
      labels += static_cast<char>(i % 10);
      for (char pixel = 0; pixel < 16; ++pixel) images += static_cast<char>(7 * i * pixel);
    }
    write_text(folder / (name + std::string("-images-idx3-ubyte")), images);
    write_text(folder / (name + std::string("-labels-idx1-ubyte")), labels);
  }
}

class ResumeFolderTest : public ResumeProgramTest {
 protected:
  ResumeFolderTest() { fs::create_directories(elsewhere); }
  /// A run in home/run whose names are all relative.
  void begin(const std::string& out = "run") const {
    write_images(home / "mydata");
    const Within here(home);
    const ProgramResult result =
        run_bntrain({"--data", "mydata", "--network", "fc4,bn,relu,fc10", "--epochs", "1", "--batch-size",
                     "8", "--out", out, "--save", "m.safetensors", "--metrics", "m.jsonl"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }
  fs::path home = folder.path() / "home", elsewhere = folder.path() / "elsewhere";
};

TEST_F(ResumeFolderTest, TheLastCheckpointNamesItsRun) {
  ASSERT_EQ(run_bntrain(small_run({"--epochs", "1", "--out", run_folder()})).exit_code, 0);
  const ProgramResult result =
      run_bntrain({"--resume", file("run", "last.safetensors").string(), "--epochs", "2"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(read_checkpoint(file("run", "last.safetensors")).checkpoint.progress.epochs.count, 2);
  const Within there(folder.path() / "run");
  EXPECT_EQ(run_bntrain({"--resume", "last.safetensors", "--epochs", "3"}).exit_code, 0);
}

TEST_F(ResumeFolderTest, RelativeNamesMeanWhatTheyMeantWhenTheRunBegan) {
  begin();
  fs::remove(home / "m.safetensors");
  const Within there(elsewhere);
  const ProgramResult result =
      run_bntrain({"--resume", "../home/run", "--epochs", "2", "--save-gradients", "g.safetensors"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(fs::exists(home / "m.safetensors"));
  EXPECT_FALSE(fs::exists("m.safetensors"));
  EXPECT_TRUE(fs::exists("g.safetensors")) << "what is given now begins here";
  EXPECT_EQ(without_times(home / "m.jsonl"), without_times(home / "run/metrics.jsonl"));
  EXPECT_THAT(read_text(home / "run/config.toml"),
              AllOf(HasSubstr("data = 'mydata'"), HasSubstr((elsewhere / "g.safetensors").string())));
}

TEST_F(ResumeFolderTest, ARunThatWasMovedWithItsImagesGoesOn) {
  begin("runs/a");
  const fs::path moved = folder.path() / "moved";
  fs::rename(home, moved);
  {
    const Within there(moved);
    EXPECT_EQ(run_bntrain({"--resume", "runs/a", "--epochs", "2"}).exit_code, 0);
  }
  const Within there(elsewhere);
  const ProgramResult result = run_bntrain({"--resume", (moved / "runs/a").string(), "--epochs", "3"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_FALSE(fs::exists("m.safetensors"));
}

TEST_F(ResumeFolderTest, ARunThatWasMovedAloneFindsItsImagesFromWhereTheyAre) {
  begin();
  fs::rename(home / "run", elsewhere / "run");
  {
    const Within there(home);
    EXPECT_EQ(run_bntrain({"--resume", (elsewhere / "run").string(), "--epochs", "2"}).exit_code, 0);
  }
  fs::rename(elsewhere / "run", folder.path() / "run");
  fs::rename(home / "mydata", home / "images");
  const Within there(home);
  const ProgramResult lost = run_bntrain({"--resume", "../run", "--epochs", "3"});
  EXPECT_EQ(lost.exit_code, 3);
  EXPECT_THAT(lost.err, HasSubstr("--data: mydata"));
  EXPECT_EQ(run_bntrain({"--resume", "../run", "--data", "images", "--epochs", "3"}).exit_code, 0);
}

TEST_F(ResumeFolderTest, AFolderOfAnyBytesIsResumed) {
  const fs::path images = folder.path() / "caf\xe9 %41";
  write_images(images);
  const std::string run = folder.file("r\xe9sum\xe9");
  const ProgramResult first = run_bntrain({"--data", images.string(), "--network", "fc4,bn,relu,fc10",
                                           "--epochs", "1", "--batch-size", "8", "--out", run});
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const ProgramResult resumed = run_bntrain({"--resume", run, "--epochs", "2"});
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  const ProgramResult again = run_bntrain({"--config", run + "/config.toml", "--out", folder.file("again")});
  EXPECT_EQ(again.exit_code, 0) << again.err;
}

TEST_F(ResumeFolderTest, WithoutAWholeCheckpointItSaysWhatIsLeft) {
  std::vector<std::string> arguments = flags("run");
  arguments.insert(arguments.end(), {"--keep", "2"});
  ASSERT_EQ(run_bntrain(arguments).exit_code, 0);
  const fs::path last = file("run", "last.safetensors");
  write_text(last, read_text(last).substr(0, 1000));
  EXPECT_THAT(resume("run").err,
              HasSubstr("step-00000020.safetensors is whole: copied over last.safetensors"));
  write_text(file("run", "step-00000020.safetensors"), "damaged");
  EXPECT_THAT(resume("run").err, HasSubstr("step-00000018.safetensors is whole"));
  fs::remove(file("run", "step-00000018.safetensors"));
  const ProgramResult best = resume("run");
  EXPECT_EQ(best.exit_code, 3);
  EXPECT_THAT(best.err, HasSubstr("best.safetensors is whole: --init-from "));
  fs::remove(last);
  EXPECT_THAT(resume("run").err,
              AllOf(HasSubstr("there is no checkpoint"), HasSubstr("best.safetensors is whole")));
  EXPECT_EQ(run_bntrain(small_run({"--epochs", "0", "--init-from", file("run", "best.safetensors").string(),
                                   "--out", run_folder("new")}))
                .exit_code,
            0);
}

}  // namespace
}  // namespace bntrain::test
