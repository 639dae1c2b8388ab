// Records of invented runs.
#pragma once

#include <cmath>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include "report/run_files.hpp"

namespace bntrain::report::test {

struct SampleRun {
  std::int64_t epochs = 3, steps_per_epoch = 20;
  bool steps = false;           ///< a record for every step
  int norms = 0, channels = 4;  ///< layers that are recorded, every 10 steps
  bool activations = false;     ///< an activation layer with each of them
  bool ended = true;
  Json settings = Json::object();  ///< over those below
};

inline Json sample_start(const SampleRun& sample) {
  Json config = {
      {"data", ""},  {"network", "lenet-bn"},  {"epochs", sample.epochs}, {"steps", 0},  {"batch-size", 256},
      {"lr", 0.2},   {"schedule", "constant"}, {"schedule-steps", 0},     {"warmup", 0}, {"seed", 0},
      {"out", "run"}};
  if (!sample.settings.empty()) config.update(sample.settings);
  return {{"event", "start"},
          {"config", config},
          {"versions", {{"bntrain", BNTRAIN_VERSION}, {"compiler", "13"}}},
          {"processor", "Invented Processor"},
          {"backend", "CPU, 2 threads"},
          {"variant", "cpu x86-64-v4 (16 lanes)"},
          {"jobs", 1},
          {"network", "conv20x5,bn,relu,maxpool2,fc10"},
          {"parameters", 29450},
          {"memory_bytes", 1000000},
          {"dataset",
           {{"name", "Fashion-MNIST"},
            {"source", "/data"},
            {"image", "(1, 28, 28)"},
            {"classes", 10},
            {"train", 60000},
            {"test", 10000}}},
          {"steps_per_epoch", sample.steps_per_epoch},
          {"total_steps", sample.epochs * sample.steps_per_epoch}};
}

inline Json sample_epoch(std::int64_t epoch, std::int64_t steps) {
  const double loss = 2.0 / static_cast<double>(epoch + 1);
  return {{"event", "epoch"},
          {"epoch", epoch},
          {"steps", steps},
          {"train_loss", loss},
          {"train_accuracy", 1 - loss / 4},
          {"test_loss", loss + 0.1},
          {"test_accuracy", 0.9 - loss / 4},
          {"seconds", 2.0},
          {"images_per_second", 30000.0},
          {"eval_seconds", 0.5}};
}

inline Json sample_norm(std::int64_t step, int layer, int channels) {
  const double x = std::sin(static_cast<double>(step));
  Json all = Json::array();
  for (int channel = 0; channel < channels; ++channel)
    all.push_back({{"batch_mean", x + channel},
                   {"batch_var", 1.0 + channel},
                   {"running_mean", x / 2},
                   {"running_var", 0.5},
                   {"gamma", 1.0},
                   {"beta", 0.0}});
  return {{"event", "bn"},
          {"step", step},
          {"layer", std::to_string(layer) + " bn"},
          {"input_percentiles", {{"5", x - 2}, {"15", x - 1}, {"50", x}, {"85", x + 1}, {"95", x + 2}}},
          {"channels", all},
          {"gradient_norm_output", 0.1},
          {"gradient_norm_input", 0.3}};
}

inline Json sample_activation(const Json& norm) {
  return {{"event", "activation"},
          {"step", norm["step"]},
          {"layer", norm["layer"]},
          {"percentiles", norm["input_percentiles"]},
          {"all_percentiles", norm["input_percentiles"]}};
}

inline std::vector<Json> sample_records(const SampleRun& sample) {
  std::vector<Json> records{sample_start(sample)};
  for (std::int64_t epoch = 0; epoch < sample.epochs; ++epoch) {
    for (std::int64_t i = 0; i < sample.steps_per_epoch; ++i) {
      const std::int64_t step = epoch * sample.steps_per_epoch + i;
      for (int layer = 0; layer < sample.norms && step % 10 == 0; ++layer) {
        records.push_back(sample_norm(step, layer, sample.channels));
        if (sample.activations) records.push_back(sample_activation(records.back()));
      }
      if (sample.steps)
        records.push_back({{"event", "step"},
                           {"epoch", epoch},
                           {"step", step},
                           {"loss", 2 + std::cos(static_cast<double>(step))},
                           {"accuracy", 0.5},
                           {"lr", 0.2}});
    }
    records.push_back(sample_epoch(epoch, (epoch + 1) * sample.steps_per_epoch));
  }
  if (sample.ended)
    records.push_back({{"event", "end"},
                       {"status", "finished"},
                       {"steps", sample.epochs * sample.steps_per_epoch},
                       {"divergence", nullptr}});
  return records;
}

inline std::string lines_of(const std::vector<Json>& records) {
  std::string text;
  for (const Json& record : records) text += one_line(record) + "\n";
  return text;
}

inline RunHistory history_of(const std::string& lines, const std::string& name = "sample") {
  std::istringstream stream(lines);
  return read_history(stream, name);
}

inline RecordedRun sample_run(const SampleRun& sample = {}, const std::string& name = "sample") {
  RecordedRun run{.history = history_of(lines_of(sample_records(sample)), name), .folder = {}};
  run.state = state_of(run.history, true, false);
  return run;
}

}  // namespace bntrain::report::test
