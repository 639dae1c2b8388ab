// Checkpoints of format version 1: the files in formats/data/checkpoint_format_1 were written by the last
// program that wrote it, NAME.safetensors in the middle of an epoch and NAME_end.safetensors by the run that
// was not interrupted.
#include <gtest/gtest.h>

#include "bntrain/model_file.hpp"
#include "cli/run_program.hpp"
#include "formats/safetensors.hpp"
#include "support/small_training.hpp"

namespace bntrain::test {
namespace {

struct OldRun {
  std::string name, epochs;
};

void PrintTo(const OldRun& run, std::ostream* out) {
  *out << run.name;
}

class OldCheckpointTest : public ::testing::TestWithParam<OldRun> {
 protected:
  static std::filesystem::path data(const std::string& ending) {
    return std::filesystem::path(BNTRAIN_TESTS_FOLDER) / "formats/data/checkpoint_format_1" /
           (GetParam().name + ending + ".safetensors");
  }
};

TEST_P(OldCheckpointTest, ContinuesToTheSameBits) {
  const TemporaryFolder folder;
  const std::filesystem::path run = folder.path() / "run";
  std::filesystem::create_directory(run);
  std::filesystem::copy_file(data(""), run / "last.safetensors");
  // The settings in the file say --cpu-isa v2 and --threads 1, so that the bits are the same everywhere.
  const ProgramResult result = run_bntrain({"--resume", run.string(), "--epochs", GetParam().epochs});
  ASSERT_EQ(result.exit_code, 0) << result.err;

  const Checkpoint expected = read_checkpoint(data("_end")).checkpoint;
  const Checkpoint found = read_checkpoint(run / "last.safetensors").checkpoint;
  EXPECT_TRUE(same_bits(found.model, expected.model));
  EXPECT_TRUE(same_bits(found.best, expected.best));
  // SGD without momentum keeps nothing; the old format had zeros for it.
  ASSERT_EQ(expected.optimizer.size(), 1u);
  EXPECT_EQ(expected.optimizer[0].name, "momentum_buffer");
  ASSERT_EQ(found.optimizer.size(), GetParam().name == "momentum" ? 1u : 0u);
  for (const OptimizerState& state : found.optimizer) {
    EXPECT_EQ(state.name, "momentum_buffer");
    EXPECT_TRUE(same_bits(state.state, expected.optimizer[0].state));
  }
  EXPECT_EQ(found.progress.steps, expected.progress.steps);
  ASSERT_EQ(found.progress.epochs.size(), expected.progress.epochs.size());
  for (std::size_t i = 0; i < found.progress.epochs.size(); ++i) {
    EXPECT_EQ(found.progress.epochs[i].train.loss, expected.progress.epochs[i].train.loss);
    EXPECT_EQ(found.progress.epochs[i].test.loss, expected.progress.epochs[i].test.loss);
  }
  EXPECT_EQ(read_safetensors(data("")).metadata.at("bntrain.format"), "1");
  EXPECT_EQ(read_safetensors(run / "last.safetensors").metadata.at("bntrain.format"), "2");
}

INSTANTIATE_TEST_SUITE_P(Runs, OldCheckpointTest,
                         ::testing::Values(OldRun{"momentum", "4"}, OldRun{"plain", "2"}),
                         [](const ::testing::TestParamInfo<OldRun>& info) { return info.param.name; });

}  // namespace
}  // namespace bntrain::test
