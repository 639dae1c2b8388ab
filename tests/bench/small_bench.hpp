// A bench that takes a moment: generated images, a small network, a rate that trains and one that diverges.
#pragma once

#include "bench/bench.hpp"
#include "bench/bench_config.hpp"
#include "bench/results_files.hpp"

namespace bntrain::bench {

inline BenchConfig small_config() {
  BenchConfig config;
  config.train.network = "conv4x3,bn,relu,maxpool2,fc4";
  config.train.batch_size = 16;
  config.train.epochs = 2;
  config.train.eval_every = 4;
  config.inits = {Init::he};
  config.learning_rates = {0.2, 1e30};
  config.seeds = 2;
  config.target = 0.5;
  config.settings = [](const TrainConfig& run) {
    return Json{{"network", run.network},
                {"norm", to_string(run.norm)},
                {"init", to_string(run.init)},
                {"bn-variance", run.batch_norm.unbiased ? "unbiased" : "biased"},
                {"epochs", run.epochs},
                {"lr", run.optimizer.lr},
                {"momentum", run.optimizer.momentum},
                {"seed", run.seed},
                {"eval-every", run.eval_every},
                {"threads", 1}};
  };
  return config;
}

inline Dataset small_dataset() {
  return load_dataset("synthetic:shape=1x8x8,classes=4,train=96,test=40,noise=0.2", {});
}

/// What no clock can have a part in.
inline Json without_seconds(Json json) {
  if (json.is_object()) {
    std::vector<std::string> timed;
    for (const auto& [name, value] : json.items()) {
      if (name.find("second") != std::string::npos) timed.push_back(name);
    }
    for (const std::string& name : timed) json.erase(name);
  }
  if (json.is_structured()) {
    for (Json& value : json) value = without_seconds(value);
  }
  return json;
}

}  // namespace bntrain::bench
