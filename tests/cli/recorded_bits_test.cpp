// The bits of training on the CPU, as they were recorded: whoever changes the arithmetic replaces them, once,
// and says why. They belong to x86-64-v4; other instruction sets have other lanes and so other sums.
#include <gtest/gtest.h>

#include <cstring>
#include <ostream>

#include "bntrain/backend.hpp"
#include "cli/run_program.hpp"
#include "core/digest.hpp"

namespace bntrain::test {
namespace {

struct RecordedRun {
  const char* name;
  std::vector<std::string> arguments;
  const char* loss;    ///< of the first epoch's line
  const char* digest;  ///< how the SHA-256 of the saved tensors begins
};

void PrintTo(const RecordedRun& run, std::ostream* out) {
  *out << run.name;
}

const RecordedRun kRuns[] = {
    {"Reference", {"--epochs", "1", "--seed", "7"}, "2.140427", "649f30741ad4ae3d"},
    {"ReferenceWithoutNorm",
     {"--epochs", "1", "--seed", "7", "--norm", "none"},
     "2.301991",
     "e3ed1e1fa77f1326"},
    {"FullyConnected",
     {"--epochs", "1", "--seed", "3", "--network", "mlp-bn", "--init", "torch"},
     "0.469100",
     "55da900f55bfdabe"},
    {"SigmoidsAndAverages",
     {"--epochs", "1", "--seed", "1", "--network", "d2l-lenet", "--init", "xavier", "--lr", "1"},
     "0.739188",
     "ef22d0a8f775e871"},
    {"Momentum",
     {"--epochs", "1", "--seed", "2", "--init", "gluon", "--momentum", "0.9", "--lr", "0.05",
      "--weight-decay", "0.0005", "--batch-size", "100"},
     "0.472771",
     "991e567b018988ef"},
    {"StridesAndPadding",
     {"--steps", "150", "--seed", "4", "--network",
      "conv8x3p1,bn,relu,conv12x3s2p1nobias,bn,relu,avgpool2,fc64,relu,fc10", "--init", "he",
      "--bn-convention", "torch"},
     "0.680424",
     "b81212eea38909b4"},
};

class RecordedBits : public testing::TestWithParam<std::tuple<RecordedRun, const char*>> {
 protected:
  void SetUp() override {
    if (available_cpu_isas().back() != CpuIsa::v4)
      GTEST_SKIP() << "the recorded bits are those of x86-64-v4, which this processor cannot run";
  }
};

/// Everything after the header, whose length the first eight bytes hold.
std::string digest_of_tensors(const std::filesystem::path& path) {
  const std::string file = read_text(path);
  std::uint64_t header = 0;
  std::memcpy(&header, file.data(), sizeof(header));
  Sha256 digest;
  digest.update(std::string_view(file).substr(sizeof(header) + header));
  return digest.hex();
}

TEST_P(RecordedBits, AreThoseOfTheRun) {
  const auto& [run, threads] = GetParam();
  const TemporaryFolder folder;
  const std::string model = folder.file("model.safetensors");
  std::vector<std::string> arguments = run.arguments;
  arguments.insert(arguments.end(),
                   {"--save", model, "--device", "cpu", "--cpu-isa", "v4", "--threads", threads, "--quiet"});
  const ProgramResult result = run_bntrain(arguments);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(result.out.starts_with("Epoch 0. Loss: " + std::string(run.loss) + ",")) << result.out;
  EXPECT_EQ(digest_of_tensors(model).substr(0, 16), run.digest);
}

INSTANTIATE_TEST_SUITE_P(Cpu, RecordedBits,
                         testing::Combine(testing::ValuesIn(kRuns), testing::Values("1", "2")),
                         [](const auto& run) {
                           return std::string(std::get<0>(run.param).name) + "_threads_" +
                                  std::get<1>(run.param);
                         });

}  // namespace
}  // namespace bntrain::test
