#include "bntrain/model_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>

#include "formats/safetensors.hpp"
#include "support/error_message.hpp"
#include "support/small_training.hpp"
#include "support/temporary_folder.hpp"

namespace bntrain::test {
namespace {

using ::testing::HasSubstr;

Tensor floats(const std::string& name, const std::vector<float>& values) {
  return {name, {static_cast<std::int64_t>(values.size())}, values};
}

/// Every kind of number that a run can have come to.
CheckpointFile example() {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  CheckpointFile file;
  Checkpoint& c = file.checkpoint;
  c.model.tensors = {floats("0.weight", {0.1f, -0.0f, 1e-40f}),
                     floats("0.bias", {2.0f}),
                     {"1.num_batches_tracked", {}, std::vector<std::int64_t>{7}}};
  c.optimizer = {{"exp_avg", {{floats("0.weight", {0.3f, 1e30f, -1.0f}), floats("0.bias", {0.7f})}}},
                 {"exp_avg_sq", {{floats("0.weight", {0.0f, 1e-30f, 2.0f}), floats("0.bias", {0.5f})}}}};
  c.best = c.model;
  c.best.tensors[1].floats()[0] = 5.0f;
  c.progress.seed = std::numeric_limits<std::uint64_t>::max();
  c.progress.steps = 7;
  c.progress.train_seconds = 0.1 + 0.2;
  c.progress.measured = {{1.0 / 3, 5, 16}, {1e-300, 0, 8}};
  EpochResult epoch;
  epoch.steps = 5;
  epoch.train = {
      .loss = 2.0 / 3, .accuracy = 0.1, .loss_batch_mean = 0.7, .accuracy_batch_mean = 0.3, .count = 80};
  epoch.test = {.loss = infinity, .accuracy = 1.0 / 7, .loss_batch_mean = infinity, .count = 40};
  epoch.train_seconds = 1.25;
  epoch.eval_seconds = 0.1;
  c.progress.epochs.add(epoch);
  file.metadata = {{"network", "fc4"}, {"bntrain.config", R"({"lr":0.2})"}};
  return file;
}

class CheckpointFileTest : public testing::Test {
 protected:
  CheckpointFileTest() { write_checkpoint(path_, example()); }

  std::string bytes() const {
    std::ifstream stream(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  void replace(const std::string& content) const { std::ofstream(path_, std::ios::binary) << content; }
  std::string refusal() const {
    return error_message(ErrorKind::data, [&] { read_checkpoint(path_); });
  }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "last.safetensors";
};

void expect_equal(const AverageMetrics& a, const AverageMetrics& b) {
  EXPECT_EQ(a.loss, b.loss);
  EXPECT_EQ(a.accuracy, b.accuracy);
  EXPECT_EQ(a.loss_batch_mean, b.loss_batch_mean);
  EXPECT_EQ(a.accuracy_batch_mean, b.accuracy_batch_mean);
  EXPECT_EQ(a.count, b.count);
}

TEST_F(CheckpointFileTest, GivesEverythingBackBitForBit) {
  const CheckpointFile written = example(), read = read_checkpoint(path_);
  EXPECT_TRUE(same_bits(read.checkpoint.model, written.checkpoint.model));
  ASSERT_EQ(read.checkpoint.optimizer.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    const OptimizerState &a = read.checkpoint.optimizer[i], &b = written.checkpoint.optimizer[i];
    EXPECT_EQ(a.name, b.name);
    EXPECT_TRUE(same_bits(a.state, b.state));
  }
  EXPECT_TRUE(same_bits(read.checkpoint.best, written.checkpoint.best));
  EXPECT_EQ(read.metadata, written.metadata);
  const TrainProgress &a = read.checkpoint.progress, &b = written.checkpoint.progress;
  EXPECT_EQ(a.seed, b.seed);
  EXPECT_EQ(a.steps, b.steps);
  EXPECT_EQ(a.train_seconds, b.train_seconds);
  ASSERT_EQ(a.measured.size(), b.measured.size());
  for (std::size_t i = 0; i < a.measured.size(); ++i) {
    EXPECT_EQ(a.measured[i].loss_sum, b.measured[i].loss_sum);
    EXPECT_EQ(a.measured[i].correct, b.measured[i].correct);
    EXPECT_EQ(a.measured[i].count, b.measured[i].count);
  }
  EXPECT_EQ(a.epochs.count, 1);
  EXPECT_EQ(a.epochs.train_seconds, 1.25);
  for (const auto& [read_epoch, expected] :
       {std::pair(a.epochs.best, b.epochs.best), std::pair(a.epochs.last, b.epochs.last)}) {
    ASSERT_TRUE(read_epoch.has_value());
    EXPECT_EQ(read_epoch->epoch, 0);
    EXPECT_EQ(read_epoch->steps, 5);
    EXPECT_EQ(read_epoch->train_seconds, 1.25);
    EXPECT_EQ(read_epoch->eval_seconds, 0.1);
    expect_equal(read_epoch->train, expected->train);
    expect_equal(read_epoch->test, expected->test);
  }
}

TEST_F(CheckpointFileTest, ALossThatIsNoNumberStaysOne) {
  CheckpointFile file = example();
  file.checkpoint.progress.epochs.best->test.loss = std::numeric_limits<double>::quiet_NaN();
  write_checkpoint(path_, file);
  EXPECT_TRUE(std::isnan(read_checkpoint(path_).checkpoint.progress.epochs.best->test.loss));
}

TEST_F(CheckpointFileTest, IsAModelFileToo) {
  const TensorFile file = read_safetensors(path_);
  EXPECT_EQ(file.state.tensors[0].name, "0.weight");
  EXPECT_EQ(file.metadata.at("network"), "fc4");
  EXPECT_EQ(file.state.find("bntrain.optimizer.exp_avg_sq.0.bias")->floats(), std::vector<float>{0.5f});
}

TEST_F(CheckpointFileTest, EveryFlippedByteIsFound) {
  const std::string good = bytes();
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (const int flip : {0x01, 0x20, 0xff}) {
      std::string damaged = good;
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      replace(damaged);
      EXPECT_THAT(refusal(), HasSubstr("last.safetensors")) << "byte " << i << " xor " << flip;
    }
  }
}

TEST_F(CheckpointFileTest, EveryShorterFileIsFound) {
  const std::string good = bytes();
  for (std::size_t size = 0; size < good.size(); ++size) {
    replace(good.substr(0, size));
    EXPECT_THAT(refusal(), HasSubstr("last.safetensors")) << size << " bytes";
  }
  replace(good + "x");
  refusal();
}

TEST_F(CheckpointFileTest, SaysWhatIsWrong) {
  std::string damaged = bytes();
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  replace(damaged);
  EXPECT_THAT(refusal(), HasSubstr("damaged"));

  write_safetensors(path_, {example().checkpoint.model, {{"network", "fc4"}}});
  EXPECT_THAT(refusal(), HasSubstr("a model alone cannot be resumed"));

  std::filesystem::remove(path_);
  EXPECT_THAT(refusal(), HasSubstr("No such file"));
}

TEST_F(CheckpointFileTest, ALaterFormatIsNamed) {
  TensorFile file = read_safetensors(path_);
  file.metadata["bntrain.format"] = "4";
  write_safetensors(path_, file);
  EXPECT_THAT(refusal(), HasSubstr("format 4"));
}

}  // namespace
}  // namespace bntrain::test
