// Every request that makes no sense is refused before anything is trained, in words that help.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/run_program.hpp"

namespace bntrain::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Refusal {
  std::string name;
  std::vector<std::string> arguments;
  std::vector<std::string> words;  // all of them are in the message
  int exit_code = 2;
};

/// In a folder of this process alone: what another user left in /tmp is in nobody's way.
std::string own_file(const std::string& name) {
  static const TemporaryFolder folder;
  return folder.file(name);
}

void PrintTo(const Refusal& refusal, std::ostream* out) {
  *out << refusal.name;
}

class UsageTest : public ::testing::TestWithParam<Refusal> {};

TEST_P(UsageTest, IsRefusedInWordsThatHelp) {
  const ProgramResult result = run_bntrain(GetParam().arguments);
  EXPECT_EQ(result.exit_code, GetParam().exit_code);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, StartsWith("error: "));
  EXPECT_EQ(lines(result.err).size(), 1U) << result.err;
  for (const std::string& word : GetParam().words) EXPECT_THAT(result.err, HasSubstr(word));
}

std::string name_of(const ::testing::TestParamInfo<Refusal>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(
    Names, UsageTest,
    ::testing::Values(
        Refusal{"unknown_flag", {"--epcohs", "3"}, {"--epcohs", "did you mean --epochs?"}},
        Refusal{"unknown_flag_with_value", {"--epoch=3"}, {"--epoch;", "did you mean --epochs?"}},
        Refusal{"nothing_is_near", {"--zzzzzzzzzz"}, {"--zzzzzzzzzz (", "--help"}},
        Refusal{"short_flag", {"-x"}, {"unknown flag -x"}},
        Refusal{"unknown_command", {"trian"}, {"'trian'", "did you mean train?", "info"}},
        Refusal{"argument", {"train", "5"}, {"unexpected argument '5'"}},
        Refusal{"two_commands", {"train", "info"}, {"unexpected argument 'info'"}},
        Refusal{"flags_before_a_command", {"--epochs", "9", "info"}, {"unexpected argument 'info'"}},
        Refusal{"flag_of_another_command", {"info", "--epochs", "3"}, {"unknown flag --epochs", "info"}},
        Refusal{
            "training_flag_of_time", {"time", "--lr", "3"}, {"unknown flag --lr", "bntrain time --help"}}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Values, UsageTest,
    ::testing::Values(
        Refusal{"missing_value", {"--lr"}, {"--lr needs a value"}},
        Refusal{"given_twice", {"--lr", "1", "--lr", "2"}, {"--lr", "'1 2'", "given once"}},
        Refusal{"text_for_a_number", {"--lr", "fast"}, {"--lr", "'fast'", "a number of at least 0"}},
        Refusal{"negative_rate", {"--lr", "-0.1"}, {"--lr", "'-0.1'", "at least 0"}},
        Refusal{"nan_rate", {"--lr", "nan"}, {"--lr", "'nan'"}},
        Refusal{"infinite_rate", {"--lr", "inf"}, {"--lr", "'inf'"}},
        Refusal{"rate_beyond_double", {"--lr", "1e999"}, {"--lr", "'1e999'"}},
        Refusal{"rate_beyond_float", {"--lr", "1e39"}, {"--lr", "1e+38"}},
        Refusal{"junk_behind_a_number", {"--epochs", "5x"}, {"--epochs", "'5x'", "a whole number from 0 to"}},
        Refusal{"fraction", {"--epochs", "1.5"}, {"--epochs", "'1.5'"}},
        Refusal{"exponent", {"--epochs", "1e3"}, {"--epochs", "'1e3'"}},
        Refusal{"negative_epochs", {"--epochs", "-1"}, {"--epochs", "'-1'"}},
        Refusal{"overflow", {"--epochs", "99999999999999999999"}, {"--epochs", "to 1000000"}},
        Refusal{
            "seed_beyond_64_bits", {"--seed", "18446744073709551616"}, {"--seed", "18446744073709551615"}},
        Refusal{"no_images_in_a_batch", {"--batch-size", "0"}, {"--batch-size", "'0'", "from 1"}},
        Refusal{"negative_steps", {"--steps", "-5"}, {"--steps", "'-5'"}},
        Refusal{"momentum_of_one", {"--momentum", "1"}, {"--momentum", "'1'", "below 1"}},
        Refusal{"weight_decay", {"--weight-decay", "-1"}, {"--weight-decay", "'-1'"}},
        Refusal{"eps_of_zero", {"--bn-eps", "0"}, {"--bn-eps", "'0'"}},
        Refusal{"bn_momentum", {"--bn-momentum", "1.1"}, {"--bn-momentum", "at most 1"}},
        Refusal{"bn_variance", {"--bn-variance", "none"}, {"--bn-variance", "biased or unbiased"}},
        Refusal{"norm", {"--norm", "layer"}, {"--norm", "'layer'", "batch or none"}},
        Refusal{"init", {"--init", "zeros"}, {"--init", "'zeros'", "tutorial, gluon, torch, he or xavier"}},
        Refusal{"shuffle", {"--shuffle", "off"}, {"--shuffle", "'off'", "on or none"}},
        Refusal{"device", {"--device", "tpu"}, {"--device", "'tpu'", "auto, cpu, cuda, cuda:N or check"}},
        Refusal{"gpu_number", {"--device", "cuda:x"}, {"--device", "'cuda:x'", "such as cuda:0"}},
        Refusal{"cpu_isa", {"--cpu-isa", "v5"}, {"--cpu-isa", "'v5'", "auto, v2, v3 or v4"}},
        Refusal{"conv", {"--conv", "fft"}, {"--conv", "'fft'", "auto, direct or winograd"}},
        Refusal{"winograd_without_avx2",
                {"--conv", "winograd", "--cpu-isa", "v2", "--device", "cpu", "--data", "synthetic"},
                {"--conv", "'winograd' needs AVX2", "auto and direct"}},
        Refusal{"threads", {"--threads", "-1"}, {"--threads", "'-1'"}},
        Refusal{"log_every", {"--log-every", "x"}, {"--log-every", "'x'"}},
        Refusal{"no_repetition", {"time", "--repetitions", "0"}, {"--repetitions", "'0'", "from 1 to"}},
        Refusal{"batch_to_time", {"time", "--batch-size", "0"}, {"--batch-size", "'0'", "from 1"}},
        Refusal{"assert_acc", {"--assert-acc", "88"}, {"--assert-acc", "'88'", "at most 1"}},
        Refusal{"tf32_on_the_cpu",
                {"--precision", "tf32", "--device", "cpu", "--data", "synthetic"},
                {"--precision", "'tf32'", "tensor cores", "the device 'cpu'", "fp32"}},
        Refusal{"precision", {"--precision", "int8"}, {"--precision", "'int8'", "fp32 or tf32"}},
        Refusal{"switch_value", {"--json=maybe"}, {"--json", "maybe", "true or false"}},
        Refusal{"flag_as_a_file", {"--save", "--json"}, {"--save", "'--json'"}},
        Refusal{"empty_file", {"--metrics", ""}, {"--metrics"}}),
    name_of);

// These need the data set, so they are found out later, but still before the first step.
INSTANTIATE_TEST_SUITE_P(
    Fit, UsageTest,
    ::testing::Values(
        Refusal{"batch_beyond_the_data",
                {"--quiet", "--data", "synthetic:train=100", "--batch-size", "101"},
                {"--batch-size: 101", "1 to 100"}},
        Refusal{"batch_to_time_beyond_the_data",
                {"time", "--quiet", "--data", "synthetic:train=100", "--batch-size", "101"},
                {"--batch-size: 101", "1 to 100"}},
        Refusal{"synthetic_key", {"--data", "synthetic:colour=3"}, {"colour"}},
        Refusal{"network_text",
                {"--quiet", "--data", "synthetic", "--network", "conv20x5,blur,fc10"},
                {"the 2nd layer", "blur"}},
        Refusal{"network_classes",
                {"--quiet", "--data", "synthetic:classes=3", "--network", "fc10"},
                {"fc10", "3"}},
        Refusal{
            "network_in_summary", {"--data", "synthetic", "--network", "fc", "--summary"}, {"the 1st layer"}},
        Refusal{
            "gradients_of_no_step",
            {"--data", "synthetic", "--quiet", "--epochs", "0", "--save-gradients", own_file("gradients")},
            {"--save-gradients", "--epochs"}},
        Refusal{"missing_data", {"--data", "/nonexistent"}, {"/nonexistent"}, 3},
        Refusal{"missing_model",
                {"--data", "synthetic", "--quiet", "--init-from", "/nonexistent"},
                {"/nonexistent"},
                3},
        Refusal{"missing_config", {"--config", "/nonexistent"}, {"--config", "/nonexistent"}, 3},
        Refusal{"folder_as_config", {"--config", "/usr"}, {"--config", "/usr"}, 3},
        Refusal{"save_in_no_folder",
                {"--save", "/nonexistent/m"},
                {"--save", "/nonexistent", "does not exist"},
                3},
        Refusal{"save_as_a_device", {"--save", "/dev/null"}, {"--save", "/dev/null", "device"}, 3},
        Refusal{"save_as_a_folder", {"--save", "/usr"}, {"--save", "/usr", "folder"}, 3},
        Refusal{"gradients_in_no_folder", {"--save-gradients", "/nonexistent/g"}, {"--save-gradients"}, 3},
        Refusal{"metrics_in_no_folder", {"--metrics", "/nonexistent/m"}, {"--metrics", "/nonexistent"}, 3},
        Refusal{"folder_that_nobody_may_write", {"--save", "/proc/model"}, {"--save", "/proc"}, 3},
        Refusal{"one_file_for_two",
                {"--save", own_file("a"), "--metrics", own_file("a")},
                {"--metrics", "/a is also"}}),
    name_of);

// A terminal would obey them.
TEST(ControlCharacterTest, NoneOfANameReachesTheTerminal) {
  const TemporaryFolder folder;
  const std::string name = "a\x1b[2J\x7f\xc2\x9b\r.png";
  write_text(folder.file(name), "no picture");
  const std::string model = folder.file("m.safetensors");
  ASSERT_EQ(run_bntrain(small_run({"--epochs", "0", "--save", model})).exit_code, 0);
  for (const ProgramResult& result :
       {run_bntrain({"predict", model, folder.file(name)}), run_bntrain({"train", "--" + name}),
        run_bntrain(small_run({"--network", "fc10\x1b[2J"})), run_bntrain({"train", "--init", "\x1b[2J"}),
        run_bntrain(small_run({"--epochs", "0", "--save", folder.file(name) + "/m"}))}) {
    EXPECT_NE(result.exit_code, 0);
    EXPECT_THAT(result.err, HasSubstr("\\u001b[2J"));
    for (const char* raw : {"\x1b", "\x7f", "\xc2\x9b", "\r"})
      EXPECT_EQ(result.err.find(raw), std::string::npos);
  }
}

TEST(ModelFileTest, AModelOfAnotherNetworkIsRefusedByItsTensors) {
  const TemporaryFolder folder;
  const std::string model = folder.file("m.safetensors");
  ASSERT_EQ(run_bntrain(small_run({"--epochs", "0", "--save", model})).exit_code, 0);
  const ProgramResult result = run_bntrain(small_run({"--quiet", "--norm", "none", "--init-from", model}));
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err, AllOf(HasSubstr(model), HasSubstr("running_mean")));
}

TEST(ModelFileTest, ADamagedModelIsRefused) {
  const TemporaryFolder folder;
  write_text(folder.file("m.safetensors"), "<html>not found</html>");
  const ProgramResult result =
      run_bntrain(small_run({"--quiet", "--init-from", folder.file("m.safetensors")}));
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err, HasSubstr("m.safetensors"));
}

}  // namespace
}  // namespace bntrain::test
