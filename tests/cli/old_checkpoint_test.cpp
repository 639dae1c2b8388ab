// Checkpoints of earlier format versions: the files in formats/data/checkpoint_format_N were written by the
// last program that wrote it, NAME.safetensors in the middle of an epoch and NAME_end.safetensors by the run
// that was not interrupted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bntrain/model_file.hpp"
#include "cli/run_program.hpp"
#include "formats/safetensors.hpp"
#include "support/small_training.hpp"

namespace bntrain::test {
namespace {

struct OldRun {
  std::string format, name, epochs;
};

void PrintTo(const OldRun& run, std::ostream* out) {
  *out << run.format << run.name;
}

/// The arithmetic of batch norm has changed since: float32 rounding, through a few steps.
constexpr double kRounding = 1e-5;

void expect_close(const ModelState& found, const ModelState& expected) {
  ASSERT_EQ(found.tensors.size(), expected.tensors.size());
  for (std::size_t i = 0; i < expected.tensors.size(); ++i) {
    const Tensor &a = found.tensors[i], &b = expected.tensors[i];
    ASSERT_EQ(a.name, b.name);
    ASSERT_EQ(a.shape, b.shape);
    ASSERT_EQ(a.values.index(), b.values.index());
    if (std::holds_alternative<std::vector<std::int64_t>>(b.values)) {
      EXPECT_EQ(a.values, b.values) << a.name;
      continue;
    }
    for (std::size_t k = 0; k < b.floats().size(); ++k)
      EXPECT_NEAR(a.floats()[k], b.floats()[k], kRounding) << a.name << " " << k;
  }
}

class OldCheckpointTest : public ::testing::TestWithParam<OldRun> {
 protected:
  static std::filesystem::path data(const std::string& ending) {
    return std::filesystem::path(BNTRAIN_TESTS_FOLDER) / "formats/data" /
           ("checkpoint_format_" + GetParam().format) / (GetParam().name + ending + ".safetensors");
  }
};

TEST_P(OldCheckpointTest, ContinuesAsItWouldHave) {
  const TemporaryFolder folder;
  const std::filesystem::path run = folder.path() / "run";
  std::filesystem::create_directory(run);
  std::filesystem::copy_file(data(""), run / "last.safetensors");
  const ProgramResult result = run_bntrain({"--resume", run.string(), "--epochs", GetParam().epochs});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, testing::HasSubstr("arithmetic 4: the bits will differ"));

  const Checkpoint expected = read_checkpoint(data("_end")).checkpoint;
  const Checkpoint found = read_checkpoint(run / "last.safetensors").checkpoint;
  expect_close(found.model, expected.model);
  expect_close(found.best, expected.best);
  // SGD without momentum keeps nothing; format 1 had zeros for it.
  ASSERT_EQ(found.optimizer.size(), GetParam().name == "plain" ? 0U : expected.optimizer.size());
  for (std::size_t i = 0; i < found.optimizer.size(); ++i) {
    EXPECT_EQ(found.optimizer[i].name, expected.optimizer[i].name);
    expect_close(found.optimizer[i].state, expected.optimizer[i].state);
  }
  EXPECT_EQ(found.progress.steps, expected.progress.steps);
  EXPECT_EQ(found.progress.epochs.count, expected.progress.epochs.count);
  for (const auto member : {&EpochHistory::best, &EpochHistory::last}) {
    const EpochResult &a = (found.progress.epochs.*member).value(),
                      &b = (expected.progress.epochs.*member).value();
    EXPECT_EQ(a.epoch, b.epoch);
    EXPECT_NEAR(a.train.loss, b.train.loss, kRounding);
    EXPECT_NEAR(a.test.loss, b.test.loss, kRounding);
  }
  EXPECT_EQ(read_safetensors(data("")).metadata.at("bntrain.format"), GetParam().format);
  EXPECT_EQ(read_safetensors(run / "last.safetensors").metadata.at("bntrain.format"), "3");
}

INSTANTIATE_TEST_SUITE_P(Runs, OldCheckpointTest,
                         ::testing::Values(OldRun{"1", "momentum", "4"}, OldRun{"1", "plain", "2"},
                                           OldRun{"2", "momentum", "3"}, OldRun{"2", "adamw", "4"}),
                         [](const ::testing::TestParamInfo<OldRun>& run) {
                           return "Format" + run.param.format + "_" + run.param.name;
                         });

}  // namespace
}  // namespace bntrain::test
