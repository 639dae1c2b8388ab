// bntrain train --out and --resume.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <random>

#include "bntrain/backend.hpp"
#include "bntrain/model_file.hpp"
#include "cli/run_program.hpp"
#include "formats/safetensors.hpp"
#include "support/small_training.hpp"

namespace bntrain::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

/// The records without what two runs of the same bits may differ in.
std::vector<nlohmann::json> without_times(const std::filesystem::path& metrics) {
  std::vector<nlohmann::json> records = json_lines(read_text(metrics));
  for (nlohmann::json& record : records) {
    for (const char* time :
         {"seconds", "images_per_second", "eval_seconds", "eval_images_per_second", "train_seconds"})
      record.erase(time);
    if (!record.contains("config")) continue;
    record.erase("backend");
    for (const char* key : {"out", "threads"}) record["config"].erase(key);
  }
  return records;
}

class ResumeProgramTest : public ::testing::Test {
 protected:
  std::string run_folder(const std::string& name = "run") const { return folder.file(name); }
  std::filesystem::path file(const std::string& run, const std::string& name) const {
    return folder.path() / run / name;
  }
  /// Flags of a run whose every part is at work, and which writes often.
  std::vector<std::string> flags(const std::string& run) const {
    return small_run({"--out",          run_folder(run),
                      "--epochs",       "4",
                      "--momentum",     "0.9",
                      "--weight-decay", "1e-4",
                      "--valid",        "0.2",
                      "--save-every",   "2",
                      "--log-every",    "1",
                      "--eval-every",   "3",
                      "--init",         "torch",
                      "--lr",           "0.05",
                      "--record",       "bn,activations"});
  }
  ProgramResult resume(const std::string& run, const std::vector<std::string>& more = {},
                       const ProgramSetup& setup = {}) const {
    std::vector<std::string> arguments = {"--resume", run_folder(run)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_bntrain(arguments, setup);
  }
  void expect_same_run(const std::string& a, const std::string& b) const {
    const Checkpoint x = read_checkpoint(file(a, "last.safetensors")).checkpoint;
    const Checkpoint y = read_checkpoint(file(b, "last.safetensors")).checkpoint;
    EXPECT_EQ(x.progress.steps, y.progress.steps);
    EXPECT_TRUE(same_bits(x.model, y.model));
    ASSERT_EQ(x.optimizer.size(), y.optimizer.size());
    for (std::size_t i = 0; i < x.optimizer.size(); ++i)
      EXPECT_TRUE(same_bits(x.optimizer[i].state, y.optimizer[i].state));
    EXPECT_TRUE(same_bits(x.best, y.best));
    const TensorFile best_a = read_safetensors(file(a, "best.safetensors"));
    const TensorFile best_b = read_safetensors(file(b, "best.safetensors"));
    EXPECT_TRUE(same_bits(best_a.state, best_b.state));
    EXPECT_EQ(best_a.metadata, best_b.metadata);
    EXPECT_EQ(without_times(file(a, "metrics.jsonl")), without_times(file(b, "metrics.jsonl")));
  }
  std::size_t files_in(const std::string& run) const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(folder.path() / run), {}));
  }

  TemporaryFolder folder;
};

TEST_F(ResumeProgramTest, AfterCtrlCItGoesOnAsIfItHadNeverStopped) {
  const ProgramResult whole = run_bntrain(flags("whole"));
  ASSERT_EQ(whole.exit_code, 0) << whole.err;
  const ProgramResult stopped = run_bntrain(flags("stopped"), {.signal = SIGINT});
  ASSERT_EQ(stopped.exit_code, 130) << stopped.err;
  EXPECT_THAT(stopped.err, HasSubstr("--resume " + run_folder("stopped")));
  const ProgramResult resumed = resume("stopped", {"--threads", "3"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("continues after"));
  expect_same_run("whole", "stopped");
  EXPECT_EQ(lines(resumed.out).back(), lines(whole.out).back()) << "the accuracy on the test set";
}

TEST_F(ResumeProgramTest, KilledAtAnyMomentItHasAWholeCheckpoint) {
  ASSERT_EQ(run_bntrain(flags("whole")).exit_code, 0);
  std::mt19937 random(1);
  std::uniform_int_distribution<int> microseconds(0, 60'000);
  int killed = 0;
  ProgramResult result =
      run_bntrain(flags("killed"), {.signal = SIGKILL, .after = std::chrono::milliseconds(5)});
  for (int attempt = 0; attempt < 12 && result.exit_code != 0; ++attempt) {
    ASSERT_EQ(result.exit_code, 128 + SIGKILL) << result.err;
    ++killed;
    const std::chrono::microseconds after(microseconds(random));
    if (std::filesystem::exists(file("killed", "last.safetensors"))) {
      read_checkpoint(file("killed", "last.safetensors"));
      result = resume("killed", {}, {.signal = SIGKILL, .after = after});
    } else {
      result = run_bntrain(flags("killed"), {.signal = SIGKILL, .after = after});
    }
  }
  if (result.exit_code != 0) result = resume("killed");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_GT(killed, 0);
  expect_same_run("whole", "killed");
  EXPECT_EQ(files_in("killed"), 4u) << "a killed process left something that nobody removed";
}

TEST_F(ResumeProgramTest, MoreEpochsAreThoseOfALongerRun) {
  ASSERT_EQ(run_bntrain(flags("whole")).exit_code, 0);
  std::vector<std::string> shorter = flags("short");
  *(std::find(shorter.begin(), shorter.end(), "--epochs") + 1) = "2";
  ASSERT_EQ(run_bntrain(shorter).exit_code, 0);
  const ProgramResult resumed = resume("short", {"--epochs", "4"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  expect_same_run("whole", "short");
}

TEST_F(ResumeProgramTest, AScheduleKeepsItsHorizonUnlessItIsGivenAgain) {
  const auto rates = [&](const std::string& run) {
    std::vector<double> result;
    for (const nlohmann::json& record : json_lines(read_text(file(run, "metrics.jsonl"))))
      if (record.at("event") == "step") result.push_back(record.at("lr"));
    return result;
  };
  const auto start = [&](const std::string& run) {
    const ProgramResult result =
        run_bntrain(small_run({"--out", run_folder(run), "--epochs", "1", "--optimizer", "adamw",
                               "--schedule", "cosine:1e-5", "--log-every", "1"}));
    ASSERT_EQ(result.exit_code, 0) << result.err;
  };
  start("kept");
  ASSERT_EQ(resume("kept", {"--epochs", "2"}).exit_code, 0);
  const std::vector<double> kept = rates("kept");
  ASSERT_EQ(kept.size(), 14U);
  EXPECT_LT(kept[6], kept[0] / 5);
  EXPECT_THAT(std::vector<double>(kept.begin() + 7, kept.end()), ::testing::Each(kept[6]));

  start("again");
  ASSERT_EQ(resume("again", {"--epochs", "2", "--schedule", "cosine:1e-5"}).exit_code, 0);
  const ProgramResult whole =
      run_bntrain(small_run({"--out", run_folder("whole"), "--epochs", "2", "--optimizer", "adamw",
                             "--schedule", "cosine:1e-5", "--log-every", "1"}));
  ASSERT_EQ(whole.exit_code, 0) << whole.err;
  const std::vector<double> again = rates("again"), expected = rates("whole");
  ASSERT_EQ(again.size(), 14U);
  EXPECT_TRUE(std::equal(again.begin() + 7, again.end(), expected.begin() + 7));
  EXPECT_NE(again[5], expected[5]);

  start("variable");
  ASSERT_EQ(
      resume("variable", {"--epochs", "2"}, {.environment = {{"BNTRAIN_SCHEDULE", "cosine:1e-5"}}}).exit_code,
      0);
  EXPECT_EQ(rates("variable"), kept) << "a variable that says the run's schedule is not another one";
  for (const char* flag : {"--warmup", "--schedule-steps"}) {
    const ProgramResult refused = resume("kept", {"--epochs", "3", flag, "3"});
    EXPECT_EQ(refused.exit_code, 2);
    EXPECT_THAT(refused.err, HasSubstr(std::string(flag) + " 3 differs from the run's"));
  }
}

TEST_F(ResumeProgramTest, AFinishedRunTrainsNothingAndSaysItsResultAgain) {
  const ProgramResult first = run_bntrain(flags("run"));
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const ProgramResult again = resume("run");
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(again.out, lines(first.out).back() + "\n");
}

TEST_F(ResumeProgramTest, AFlagThatMakesAnotherRunIsRefusedByName) {
  ASSERT_EQ(run_bntrain(flags("run")).exit_code, 0);
  const std::vector<std::vector<std::string>> differing = {{"--lr", "0.5", "0.05"},
                                                           {"--optimizer", "adamw", "sgd"},
                                                           {"--decay", "weights", "all"},
                                                           {"--batch-size", "16", "32"},
                                                           {"--seed", "9", "0"},
                                                           {"--momentum", "0.5", "0.9"},
                                                           {"--norm", "none", "batch"},
                                                           {"--init", "he", "torch"},
                                                           {"--weight-decay", "0.1", "0.0001"},
                                                           {"--valid", "0.3", "0.2"},
                                                           {"--bn-eps", "0.001", "1e-05"},
                                                           {"--bn-momentum", "0.5", "0.9"},
                                                           {"--shuffle", "none", "on"},
                                                           {"--network", "fc10", "conv4x3"},
                                                           {"--precision", "tf32", "fp32"},
                                                           {"--bn-variance", "unbiased", "biased"}};
  for (const auto& flag : differing) {
    const ProgramResult result = resume("run", {flag[0], flag[1]});
    EXPECT_EQ(result.exit_code, 2) << flag[0];
    EXPECT_THAT(result.err, AllOf(HasSubstr(flag[0] + " " + flag[1]), HasSubstr(flag[2]))) << flag[0];
  }
  EXPECT_EQ(resume("run", {}, {.environment = {{"BNTRAIN_LR", "0.5"}}}).exit_code, 2);
  const ProgramResult convention = resume("run", {"--bn-convention", "torch"});
  EXPECT_EQ(convention.exit_code, 2);
  EXPECT_THAT(convention.err, HasSubstr("--bn-convention: its --bn-variance unbiased differs"));
}

TEST_F(ResumeProgramTest, AnEqualFlagAndFlagsThatChangeNoBitAreTaken) {
  ASSERT_EQ(run_bntrain(flags("run")).exit_code, 0);
  const ProgramResult result =
      resume("run", {"--lr", "0.050", "--bn-convention", "tutorial", "--threads", "2", "--device", "cpu",
                     "--patience", "50", "--save-every", "5", "--save", folder.file("model.safetensors"),
                     "--epochs", "5", "--data", "synthetic:train=200,test=70,shape=1x8x8"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(std::filesystem::exists(folder.file("model.safetensors")));
}

TEST_F(ResumeProgramTest, OtherImagesAreRefused) {
  ASSERT_EQ(run_bntrain(flags("run")).exit_code, 0);
  const ProgramResult result =
      resume("run", {"--epochs", "5", "--data", "synthetic:shape=1x8x8,train=200,test=70,noise=0.4"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err, HasSubstr("are not those"));
}

TEST_F(ResumeProgramTest, AMissingOrDamagedCheckpointIsNoFreshStart) {
  EXPECT_EQ(resume("nowhere").exit_code, 3);
  EXPECT_FALSE(std::filesystem::exists(run_folder("nowhere")));
  ASSERT_EQ(run_bntrain(flags("run")).exit_code, 0);
  const std::filesystem::path last = file("run", "last.safetensors");
  const std::string good = read_text(last), metrics = read_text(file("run", "metrics.jsonl"));
  const auto expect_refused = [&](const std::string& content) {
    write_text(last, content);
    const ProgramResult result = resume("run", {"--epochs", "6"});
    EXPECT_EQ(result.exit_code, 3) << result.err;
    EXPECT_THAT(result.err, HasSubstr(last.string()));
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(read_text(last), content);
    EXPECT_EQ(read_text(file("run", "metrics.jsonl")), metrics);
  };
  for (std::size_t i = 0; i < good.size(); i += good.size() / 8) {
    std::string damaged = good;
    damaged[i] = static_cast<char>(damaged[i] ^ 4);
    expect_refused(damaged);
    expect_refused(good.substr(0, i));
  }
  std::filesystem::remove(last);
  const ProgramResult missing = resume("run");
  EXPECT_EQ(missing.exit_code, 3);
  EXPECT_THAT(missing.err, AllOf(HasSubstr("there is no checkpoint"), HasSubstr(last.string())));

  std::filesystem::copy(file("run", "best.safetensors"), last);
  EXPECT_THAT(resume("run").err, HasSubstr("a model alone cannot be resumed"));
}

TEST_F(ResumeProgramTest, SettingsThatTheProgramDidNotWriteAreRefused) {
  ASSERT_EQ(run_bntrain(flags("run")).exit_code, 0);
  const std::filesystem::path last = file("run", "last.safetensors");
  CheckpointFile checkpoint = read_checkpoint(last);
  const std::string deep = R"({"lr":)" + std::string(300'000, '[') + std::string(300'000, ']') + "}";
  for (const std::string& settings : {std::string("{"), std::string("[1]"), std::string("2"), deep}) {
    checkpoint.metadata["bntrain.config"] = settings;
    write_checkpoint(last, checkpoint);
    const ProgramResult result = resume("run");
    EXPECT_EQ(result.exit_code, 3) << settings.substr(0, 10);
    EXPECT_THAT(result.err, HasSubstr("does not hold the settings of its run"));
  }
}

TEST_F(ResumeProgramTest, OutRefusesTheFolderOfAnotherRun) {
  ASSERT_EQ(run_bntrain(flags("run")).exit_code, 0);
  const std::string before = read_text(file("run", "metrics.jsonl"));
  const ProgramResult result = run_bntrain(flags("run"));
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("--resume " + run_folder("run")));
  EXPECT_EQ(read_text(file("run", "metrics.jsonl")), before);
}

TEST_F(ResumeProgramTest, OneProcessAtATimeTrainsInAFolder) {
  ASSERT_EQ(run_bntrain(flags("run")).exit_code, 0);
  const int descriptor = open(run_folder("run").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ASSERT_EQ(flock(descriptor, LOCK_EX), 0);
  const ProgramResult result = resume("run", {"--epochs", "5"});
  close(descriptor);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("another bntrain"));
}

TEST_F(ResumeProgramTest, FlagsNameWhatTheyNeed) {
  for (const auto& [flag, needed] :
       {std::pair{"--save-every", "--out"}, {"--keep", "--out"}, {"--patience", "--valid"}}) {
    const ProgramResult result = run_bntrain(small_run({flag, "3"}));
    EXPECT_EQ(result.exit_code, 2) << flag;
    EXPECT_THAT(result.err, AllOf(HasSubstr(flag), HasSubstr(needed)));
  }
  ASSERT_EQ(run_bntrain(flags("run")).exit_code, 0);
  const ProgramResult both = resume("run", {"--out", run_folder("other")});
  EXPECT_EQ(both.exit_code, 2);
  EXPECT_THAT(both.err, HasSubstr("--out"));
  EXPECT_EQ(run_bntrain(small_run({"--valid", "0.001"})).exit_code, 2);
}

TEST_F(ResumeProgramTest, KeepsTheLastNumberedCheckpoints) {
  std::vector<std::string> arguments = flags("run");
  arguments.insert(arguments.end(), {"--keep", "2"});
  ASSERT_EQ(run_bntrain(arguments).exit_code, 0);
  EXPECT_EQ(files_in("run"), 6u);
  const auto at = [&](const std::string& name) { return read_checkpoint(file("run", name)).checkpoint; };
  EXPECT_EQ(at("step-00000018.safetensors").progress.steps, 18);
  EXPECT_TRUE(same_bits(at("step-00000020.safetensors").model, at("last.safetensors").model));
}

TEST_F(ResumeProgramTest, AnOlderCheckpointGoesOnUnderTheNameOfTheLast) {
  std::vector<std::string> arguments = flags("run");
  arguments.insert(arguments.end(), {"--keep", "50"});
  ASSERT_EQ(run_bntrain(arguments).exit_code, 0);
  const Checkpoint end = read_checkpoint(file("run", "last.safetensors")).checkpoint;
  const auto records = without_times(file("run", "metrics.jsonl"));
  std::filesystem::copy_file(file("run", "step-00000008.safetensors"), file("run", "last.safetensors"),
                             std::filesystem::copy_options::overwrite_existing);
  ASSERT_EQ(resume("run").exit_code, 0);
  EXPECT_TRUE(same_bits(read_checkpoint(file("run", "last.safetensors")).checkpoint.model, end.model));
  EXPECT_EQ(without_times(file("run", "metrics.jsonl")), records);
}

TEST_F(ResumeProgramTest, TheConfigurationFileMakesTheSameRunAgain) {
  ASSERT_EQ(run_bntrain(flags("run")).exit_code, 0);
  const ProgramResult again =
      run_bntrain({"--config", file("run", "config.toml").string(), "--out", run_folder("again")});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  expect_same_run("run", "again");
}

TEST_F(ResumeProgramTest, ValidationIsNamedAndTheTestSetComesOnceAtTheEnd) {
  const ProgramResult result = run_bntrain(flags("run"));
  const auto printed = lines(result.out);
  ASSERT_EQ(printed.size(), 5u);
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_THAT(printed[i], AllOf(HasSubstr("Valid acc"), Not(HasSubstr("Test acc"))));
  EXPECT_THAT(printed[4],
              ::testing::MatchesRegex(
                  R"(Test\. Loss: [0-9.]+, Test acc [01]\.[0-9]{6} \(weights of epoch [0-3], .*\))"));
  EXPECT_THAT(result.err, HasSubstr("40 of the training images are held out for validation"));
  const auto records = json_lines(read_text(file("run", "metrics.jsonl")));
  for (const nlohmann::json& record : records) {
    if (record.at("event") == "epoch" || record.at("event") == "evaluation") {
      EXPECT_TRUE(record.at("valid_accuracy").is_number());
      EXPECT_FALSE(record.contains("test_accuracy"));
    }
  }
  const nlohmann::json& end = records.back();
  EXPECT_TRUE(end.at("test_accuracy").is_number());
  EXPECT_EQ(std::to_string(end.at("test_accuracy").get<double>()),
            printed[4].substr(printed[4].find("acc ") + 4, 8));
  EXPECT_TRUE(end.at("best_valid_accuracy").is_number());
  EXPECT_FALSE(end.contains("best_test_accuracy"));
}

TEST_F(ResumeProgramTest, TheGateLooksAtTheTestSet) {
  std::vector<std::string> arguments = flags("run");
  arguments.insert(arguments.end(), {"--assert-acc", "1"});
  const ProgramResult result = run_bntrain(arguments);
  EXPECT_EQ(result.exit_code, 5);
  const std::string accuracy = lines(result.out).back();
  EXPECT_THAT(result.err, HasSubstr(accuracy.substr(accuracy.find("acc ") + 4, 8)));
}

TEST_F(ResumeProgramTest, WithoutValidationThereIsNoBestModelAndItSaysSo) {
  const ProgramResult result = run_bntrain(small_run({"--out", run_folder(), "--epochs", "1"}));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("no best.safetensors is written"));
  EXPECT_FALSE(std::filesystem::exists(file("run", "best.safetensors")));
  EXPECT_EQ(files_in("run"), 3u);
}

TEST_F(ResumeProgramTest, AnotherInstructionSetIsAllowedWithAWarning) {
  // There is no other one to change to.
  if (available_cpu_isas().size() < 2) GTEST_SKIP() << "this processor has one instruction set";
  ASSERT_EQ(run_bntrain(flags("run")).exit_code, 0);
  EXPECT_THAT(resume("run").err, Not(HasSubstr("bits will differ")));
  const ProgramResult other = resume("run", {"--cpu-isa", "v2", "--epochs", "5"});
  EXPECT_EQ(other.exit_code, 0);
  EXPECT_THAT(other.err, HasSubstr("bits will differ"));
}

TEST_F(ResumeProgramTest, TheInitialModelMayBeGone) {
  const std::string model = folder.file("model.safetensors");
  ASSERT_EQ(run_bntrain(small_run({"--epochs", "0", "--save", model})).exit_code, 0);
  ASSERT_EQ(run_bntrain(small_run({"--epochs", "1", "--init-from", model, "--out", run_folder()})).exit_code,
            0);
  std::filesystem::remove(model);
  const ProgramResult result = resume("run", {"--epochs", "2"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

TEST_F(ResumeProgramTest, ARunThatDivergedDivergesAgain) {
  const std::vector<std::string> arguments =
      small_run({"--out", run_folder(), "--lr", "1e30", "--save-every", "1"});
  const ProgramResult first = run_bntrain(arguments);
  ASSERT_EQ(first.exit_code, 4) << first.err;
  const ProgramResult again = resume("run");
  EXPECT_EQ(again.exit_code, 4);
  EXPECT_EQ(lines(again.err).back(), lines(first.err).back());
}

TEST_F(ResumeProgramTest, TheMetricsFileOfTheUserGoesOnToo) {
  const std::string metrics = folder.file("metrics.jsonl");
  std::vector<std::string> arguments = flags("run");
  arguments.insert(arguments.end(), {"--metrics", metrics});
  ASSERT_EQ(run_bntrain(arguments, {.signal = SIGINT}).exit_code, 130);
  ASSERT_EQ(resume("run").exit_code, 0);
  EXPECT_EQ(without_times(metrics), without_times(file("run", "metrics.jsonl")));
}

TEST_F(ResumeProgramTest, AMetricsFileOfSomethingElseIsLeftAlone) {
  ASSERT_EQ(run_bntrain(flags("run")).exit_code, 0);
  write_text(file("run", "metrics.jsonl"), "no record\nat all\n");
  const ProgramResult result = resume("run", {"--epochs", "5"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err, HasSubstr("metrics.jsonl, line 1"));
  EXPECT_EQ(read_text(file("run", "metrics.jsonl")), "no record\nat all\n");
}

}  // namespace
}  // namespace bntrain::test
