// The state of a run: where it starts, what can be resumed.
#include <algorithm>
#include <cmath>
#include <string>

#include "backend/state.hpp"
#include "bntrain/error.hpp"
#include "bntrain/train.hpp"
#include "core/number_text.hpp"
#include "network/batch_norm_convention.hpp"
#include "train/probe.hpp"
#include "train/records.hpp"

namespace bntrain {
Trainer::Trainer(const TrainConfig& config, const Dataset& dataset, Backend& backend)
    : config_(config), dataset_(dataset), backend_(backend) {
  compile();
  progress_.seed = config.seed;
  load_state(*executable_, initial_state(network_, config.init, config.seed));
}

Trainer::Trainer(const TrainConfig& config, const Dataset& dataset, Backend& backend,
                 const ModelState& initial)
    : config_(config), dataset_(dataset), backend_(backend) {
  compile();
  check_state(network_, initial, "the initial values");
  check_values(network_, initial, "the initial values", StatisticsUse::training);
  progress_.seed = config.seed;
  load_state(*executable_, initial);
}

Trainer::Trainer(const TrainConfig& config, const Dataset& dataset, Backend& backend, const Checkpoint& from)
    : config_(config), dataset_(dataset), backend_(backend) {
  compile();
  check_resumable(from);
  progress_ = from.progress;
  for (auto* epoch : {&progress_.epochs.best, &progress_.epochs.last})
    if (*epoch) (*epoch)->evaluated = evaluated();
  best_ = from.best;
  load_state(*executable_, from.model);
  load_optimizer(*executable_, from.optimizer);
}

void Trainer::check_resumable(const Checkpoint& from) const {
  const TrainProgress& progress = from.progress;
  const auto refuse = [](const std::string& problem) {
    throw Error(ErrorKind::data, "the checkpoint does not belong to this run: " + problem);
  };
  check_state(network_, from.model, "the checkpoint");
  check_values(network_, from.model, "the checkpoint", StatisticsUse::training);
  if (!fits_optimizer(*executable_, from.optimizer))
    refuse("its optimizer state is not what this optimizer keeps of the network " + network_.text());
  if (progress.seed != config_.seed) {
    refuse("its seed is " + std::to_string(progress.seed) + ", not " + std::to_string(config_.seed));
  }
  const bool has_best = config_.valid > 0 && progress.epochs.count > 0;
  if (has_best) {
    check_state(network_, from.best, "the checkpoint's best model");
    check_values(network_, from.best, "the checkpoint's best model", StatisticsUse::inference);
  }
  for (const auto& [name, state] : from.optimizer)
    for (const Tensor& tensor : state.tensors)
      if (std::ranges::any_of(tensor.floats(), [](float value) { return std::isnan(value); }))
        refuse(name + " of '" + tensor.name + "' holds NaN, so the next update would ruin the weights");
  if (!has_best && !from.best.tensors.empty()) refuse("it has a best model, which only validation makes");

  const std::int64_t epochs = progress.epochs.count;
  const auto measured = static_cast<std::int64_t>(progress.measured.size());
  std::int64_t images = 0;
  for (const StepMetrics& step : progress.measured) images += step.count;
  if (measured > steps_per_epoch() || progress.steps != epochs * steps_per_epoch() + measured ||
      images != std::min(measured * config_.batch_size, data().train.count)) {
    refuse("it is " + std::to_string(measured) + " steps and " + std::to_string(images) +
           " images into epoch " + std::to_string(epochs) + ", at step " + std::to_string(progress.steps) +
           " of the run, but " + std::to_string(data().train.count) + " training images in batches of " +
           std::to_string(config_.batch_size) + " make epochs of " + std::to_string(steps_per_epoch()));
  }
  if (progress.steps > total_steps()) {
    throw Error(ErrorKind::usage, config_.steps > 0 ? "steps" : "epochs",
                "the run would end after " + std::to_string(total_steps()) +
                    " steps, but the checkpoint was made after " + std::to_string(progress.steps) +
                    "; a larger number is needed");
  }
}

Checkpoint Trainer::checkpoint() const {
  return {save(), save_optimizer(*executable_), best_, progress_};
}

Trainer::~Trainer() = default;

std::string Trainer::variant() const {
  return executable_->variant();
}

std::string Trainer::report() const {
  return executable_->report();
}

ModelState Trainer::save() const {
  return save_state(*executable_);
}

ModelState Trainer::save_gradients() const {
  return bntrain::save_gradients(*executable_);
}

Model Trainer::model() const {
  Model model{network_, config_.batch_norm, save(), {}};
  model.metadata = {{"dataset", dataset_.name},
                    {"bn-momentum", shortest_text(config_.batch_norm.momentum)},
                    {"bn-eps", shortest_text(config_.batch_norm.eps)},
                    {"init", to_string(config_.init)},
                    {"seed", std::to_string(config_.seed)},
                    {"steps", std::to_string(progress_.steps)}};
  if (!network_.running().empty()) {
    model.metadata.merge(
        metadata_of({config_.batch_norm.unbiased, values_per_channel(network_, config_.batch_size)}));
  }
  return model;
}

}  // namespace bntrain
