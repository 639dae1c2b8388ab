// A trainer on a device that only records what it is asked, and follows a script.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <thread>
#include <utility>

#include "backend/executable.hpp"
#include "bntrain/error.hpp"
#include "bntrain/train.hpp"
#include "support/error_message.hpp"
#include "support/small_training.hpp"

namespace bntrain {

inline constexpr double nan_loss = std::numeric_limits<double>::quiet_NaN();

/// What the trainer asked of the fake device.
struct Recording {
  std::vector<std::vector<std::int64_t>> orders;
  std::vector<std::pair<std::int64_t, std::int64_t>> train_ranges, eval_ranges, diagnosed_ranges;
  std::vector<StepParams> params;
  std::vector<std::size_t> drained;  // number of steps of each drain
  std::vector<std::vector<StepParams>> prepared;
  std::vector<float> parameters, running;  ///< as they were written
  std::string diagnosis = "0 fc3 (output)";
};

/// The loss of training step i (from 0), a sum over its images.
using Script = std::function<double(std::int64_t step)>;

class FakeExecutable : public Executable, public Diagnostics {
 public:
  FakeExecutable(const PlanRequest& request, Recording& recording, Script script, double test_loss,
                 std::chrono::milliseconds eval_time)
      : plan_(make_plan(request, {})),
        recording_(recording),
        script_(std::move(script)),
        test_loss_(test_loss),
        eval_time_(eval_time) {}
  const Plan& plan() const override { return plan_; }
  void bind_training_images(const ImageSet&) override {}
  void bind_evaluation_images(const ImageSet&) override {}
  void set_order(std::span<const std::int64_t> order) override {
    recording_.orders.emplace_back(order.begin(), order.end());
  }
  void prepare(std::span<const StepParams> next) override {
    recording_.prepared.emplace_back(next.begin(), next.end());
  }
  void train_step(BatchRange range, const StepParams& params) override {
    const auto step = static_cast<std::int64_t>(recording_.train_ranges.size());
    recording_.train_ranges.emplace_back(range.first, range.count);
    recording_.params.push_back(params);
    pending_.push_back({script_(step), 1, range.count});
  }
  void eval_step(BatchRange range) override {
    recording_.eval_ranges.emplace_back(range.first, range.count);
    if (range.first == 0) std::this_thread::sleep_for(eval_time_);
    pending_.push_back({test_loss_, 2, range.count});
  }
  std::vector<float> logits() override { return {}; }
  std::vector<StepMetrics> drain_metrics() override {
    recording_.drained.push_back(pending_.size());
    return std::exchange(pending_, {});
  }
  std::vector<float> read(StateBuffer buffer) const override {
    const bool running = buffer == StateBuffer::running_statistics;
    const std::vector<float>& written = running ? recording_.running : recording_.parameters;
    return written.empty() ? std::vector<float>(static_cast<std::size_t>(
                                 running ? plan_.network.running_floats() : plan_.network.parameter_floats()))
                           : written;
  }
  void write(StateBuffer buffer, std::span<const float> values) override {
    if (buffer == StateBuffer::parameters) recording_.parameters.assign(values.begin(), values.end());
    if (buffer == StateBuffer::running_statistics) recording_.running.assign(values.begin(), values.end());
  }
  std::int64_t updates() const override { return 0; }
  void restart(std::int64_t) override {}
  std::string variant() const override { return "fake"; }

  Diagnostics& diagnostics() override { return *this; }
  std::vector<BatchStatistics> eval_step_by_batch(BatchRange, int) override { return {}; }
  std::string first_non_finite(BatchRange range) override {
    recording_.diagnosed_ranges.emplace_back(range.first, range.count);
    return recording_.diagnosis;
  }
  std::vector<OpTiming> time_ops(BatchRange, int) override { return {}; }
  std::vector<float> read_value(int, StepPass, std::int64_t) const override { return {}; }

 private:
  const Plan plan_;
  Recording& recording_;
  Script script_;
  double test_loss_;
  std::chrono::milliseconds eval_time_;
  std::vector<StepMetrics> pending_;
};

class FakeBackend : public Backend {
 public:
  std::unique_ptr<Executable> compile(const PlanRequest& request) override {
    return std::make_unique<FakeExecutable>(request, recording, script, test_loss, evaluation_time);
  }
  std::int64_t memory_bytes(const PlanRequest&) override { return 1234; }
  DevicePeaks measure_peaks() override { return {}; }
  std::string description() const override { return "fake"; }

  Recording recording;
  Script script = [](std::int64_t) { return 1.0; };
  double test_loss = 1.0;
  std::chrono::milliseconds evaluation_time{0};
};

struct RecordingObserver : TrainObserver {
  void on_steps(std::int64_t epoch, std::int64_t first_step, const std::vector<StepMetrics>& steps) override {
    calls.emplace_back(epoch, first_step, steps.size());
    if (during_steps) during_steps();
  }
  void on_evaluation(const Evaluation& evaluation) override { evaluations.push_back(evaluation); }
  void on_epoch(const EpochResult& epoch) override { epochs.push_back(epoch.epoch); }
  std::vector<std::tuple<std::int64_t, std::int64_t, std::size_t>> calls;
  std::vector<Evaluation> evaluations;
  std::vector<std::int64_t> epochs;
  std::function<void()> during_steps;
};

inline ImageSet images(std::int64_t count) {
  ImageSet set;
  set.shape = Shape{1, 2, 2, false};
  set.count = count;
  set.pixels.resize(static_cast<std::size_t>(count * 4));
  set.labels.resize(static_cast<std::size_t>(count));
  return set;
}

class TrainerTest : public ::testing::Test {
 protected:
  TrainerTest() {
    dataset.name = "fake";
    dataset.classes = 3;
    dataset.train = images(10);
    dataset.test = images(6);
    config.network = "fc3";
    config.batch_size = 4;
    config.epochs = 2;
  }
  TrainResult run() { return Trainer(config, dataset, backend).run(observer, stop); }

  Dataset dataset;
  TrainConfig config;
  FakeBackend backend;
  RecordingObserver observer;
  std::atomic<bool> stop{false};
};

}  // namespace bntrain
