#include "backend/check/backend.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "backend/check/step_comparison.hpp"
#include "bntrain/error.hpp"
#include "core/random.hpp"

namespace bntrain {
namespace {

// A ReLU at 0, a pooling window or two logits whose candidates differ by less than float32 can see may be
// decided either way, and one such decision moves a gradient by up to 1e-2. The reference decides otherwise
// too when its parameters move by about their rounding. So a step beyond its bounds is repeated by the
// reference from neighbours of the state, nearer ones first, and as far as that moves the reference the other
// device may be off. x86-64-v2 against v4 on Fashion-MNIST, 3600 steps of lenet-bn and others: 366 steps were
// beyond their bounds, and all were explained; eight neighbours of 1e-6 left 5 of 200 unexplained (windows
// over almost equal pixels hardly feel their weights move).
constexpr int kNeighbours = 16;
constexpr double kNearest = 0x1p-20;    // relative, of each parameter: some roundings, as a step has
constexpr double kFarther = 1.19;       // from each neighbour to the next: sixteen end at 1.3e-5
constexpr double kNeighbourFactor = 2;  // both devices may lie off the middle, on different sides

StepState state_of(const Executable& executable) {
  return {save_state(executable), save_optimizer(executable)};
}

void begin_from(Executable& executable, const StepState& start) {
  load_state(executable, start.state);
  load_optimizer(executable, start.optimizer);
}

double distance_of_neighbour(int number) {
  return kNearest * std::pow(kFarther, number);
}

ModelState neighbour(ModelState state, const Network& network, int number) {
  const double distance = distance_of_neighbour(number);
  RandomStream random(static_cast<std::uint64_t>(number), RandomPurpose::rounding, 0);
  for (const Parameter& parameter : network.parameters()) {
    Tensor& tensor = *std::ranges::find(state.tensors, parameter.name, &Tensor::name);
    for (float& value : tensor.floats())
      value *= static_cast<float>(1 + distance * (2 * random.uniform() - 1));
  }
  return state;
}

/// How much of what neighbour `number` moves counts as the reference's own rounding. A decision is whole or
/// not at all; what is continuous moves with the distance, and rounds `rounding` times as much; an update
/// adds its gradient to the same numbers.
double share_of_rounding(Quantity quantity, int number, double rounding) {
  switch (quantity) {
    case Quantity::gradient:
    case Quantity::correct:
      return 1;
    case Quantity::running_statistics:
    case Quantity::loss:
      return rounding * kNearest / distance_of_neighbour(number);
    case Quantity::optimizer:
    case Quantity::parameter:
      return 0;
  }
  return 0;
}

/// How much farther than the nearest neighbour a device's own rounding may take it: one chain of float32
/// multiply-adds, the least accurate sum that a library may choose, is off by about 2^-24 * sqrt(length) of
/// the root of its squared terms, and a neighbour by kNearest of it.
double rounding_of_sums(const Plan& plan) {
  std::int64_t longest = 0;
  for (const PlanOp& op : plan.ops) {
    if (op.kind == OpKind::conv) longest = std::max(longest, op.in.channels * op.kernel * op.kernel);
    if (op.kind == OpKind::linear) longest = std::max(longest, op.in.size());
  }
  return std::max(1.0, 0x1p-24 / kNearest * std::sqrt(static_cast<double>(longest)));
}

bool within(const std::vector<Distance>& distances) {
  return std::ranges::all_of(distances, [](const Distance& distance) { return distance.within(); });
}

std::string short_text(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.1e", value);
  return text;
}

class CheckExecutable final : public Executable, public Diagnostics {
 public:
  CheckExecutable(std::unique_ptr<Executable> reference, std::unique_ptr<Executable> judged)
      : reference_(std::move(reference)), judged_(std::move(judged)) {}

  const Plan& plan() const override { return reference_->plan(); }

  void bind_training_images(const ImageSet& images) override {
    reference_->bind_training_images(images);
    judged_->bind_training_images(images);
  }
  void bind_evaluation_images(const ImageSet& images) override {
    reference_->bind_evaluation_images(images);
    judged_->bind_evaluation_images(images);
  }
  void set_order(std::span<const std::int64_t> order) override {
    reference_->set_order(order);
    judged_->set_order(order);
  }

  void train_step(BatchRange range, const StepParams& params) override {
    const StepOutcome outcome =
        compare("training step " + std::to_string(train_steps_++), params, [&](Executable& executable) {
          executable.train_step(range, params);
          return StepOutcome{executable.drain_metrics().at(0), state_of(executable),
                             save_gradients(executable)};
        });
    halted_ = !std::isfinite(outcome.metrics.loss_sum);
  }

  void eval_step(BatchRange range) override {
    evaluate("evaluation", range, [&](Executable& executable) { executable.eval_step(range); });
  }

  std::vector<BatchStatistics> eval_step_by_batch(BatchRange range, int first_layer) override {
    std::optional<std::vector<BatchStatistics>> first;  // the reference's: it goes before all others
    evaluate("evaluation by batch statistics", range, [&](Executable& executable) {
      std::vector<BatchStatistics> statistics =
          executable.diagnostics().eval_step_by_batch(range, first_layer);
      if (!first) first = std::move(statistics);
    });
    return *first;
  }

  std::vector<float> logits() override { return logits_; }

  std::vector<StepMetrics> drain_metrics() override { return std::exchange(metrics_, {}); }

  Diagnostics& diagnostics() override { return *this; }
  std::string first_non_finite(BatchRange range) override {
    return reference_->diagnostics().first_non_finite(range);
  }
  std::vector<OpTiming> time_ops(BatchRange range, int repetitions) override {
    return reference_->diagnostics().time_ops(range, repetitions);
  }
  std::vector<float> read_value(int value, StepPass pass, std::int64_t images) const override {
    return reference_->diagnostics().read_value(value, pass, images);
  }

  std::vector<float> read(StateBuffer buffer) const override { return reference_->read(buffer); }
  void write(StateBuffer buffer, std::span<const float> values) override {
    reference_->write(buffer, values);
    judged_->write(buffer, values);
  }
  std::int64_t updates() const override { return reference_->updates(); }
  void restart(std::int64_t updates) override {
    reference_->restart(updates);
    judged_->restart(updates);
    halted_ = false;
  }

  std::string variant() const override {
    return "check: " + judged_->variant() + " against " + reference_->variant();
  }

  std::string report() const override {
    std::string text = judged_->variant() + " agrees with " + reference_->variant() + " in " +
                       std::to_string(train_steps_) + " training and " + std::to_string(eval_steps_) +
                       " evaluation steps, " + std::to_string(near_ties_) +
                       " of them up to decisions within rounding; largest distances:";
    const char* separator = " ";
    for (const auto& [quantity, value] : largest_) {
      text += separator + to_string(quantity) + " " + short_text(value);
      separator = ", ";
    }
    return text;
  }

 private:
  using Step = std::function<StepOutcome(Executable&)>;

  void evaluate(const std::string& name, BatchRange range, const std::function<void(Executable&)>& step) {
    logits_.clear();
    compare(name + " of test images " + std::to_string(range.first) + " to " +
                std::to_string(range.first + range.count - 1),
            {}, [&](Executable& executable) {
              step(executable);
              if (logits_.empty()) logits_ = executable.logits();  // the reference goes before all others
              return StepOutcome{executable.drain_metrics().at(0), {}, {}};
            });
    ++eval_steps_;
  }

  /// Makes the step on both devices from the reference's state; returns the reference's outcome.
  StepOutcome compare(const std::string& name, const StepParams& params, const Step& step) {
    const StepState start = state_of(*reference_);
    if (!halted_) begin_from(*judged_, start);
    StepOutcome expected = step(*reference_);
    const StepOutcome actual = step(*judged_);
    std::vector<Distance> distances = step_distances(plan(), params, start, expected, actual);
    if (!within(distances) && !halted_ && std::isfinite(expected.metrics.loss_sum)) {
      ++near_ties_;
      allow_neighbours(start, params, step, expected, distances);
    }
    for (const Distance& distance : distances) {
      double& largest = largest_[distance.quantity];
      largest = std::max(largest, distance.value);
    }
    if (!within(distances)) throw disagreement(name, distances);
    metrics_.push_back(expected.metrics);
    return expected;
  }

  /// Raises what is allowed until the distances are within it or the neighbours are used up.
  void allow_neighbours(const StepState& start, const StepParams& params, const Step& step,
                        const StepOutcome& expected, std::vector<Distance>& distances) {
    const StepState after = state_of(*reference_);
    const std::vector<float> gradients = reference_->read(StateBuffer::gradients);
    const double rounding = rounding_of_sums(plan());
    std::vector<double> bounds;
    bounds.reserve(distances.size());
    for (const Distance& distance : distances) bounds.push_back(distance.allowed);
    for (int i = 0; i < kNeighbours && !within(distances); ++i) {
      const StepState moved_start{neighbour(start.state, plan().network, i), start.optimizer};
      begin_from(*reference_, moved_start);
      const std::vector<Distance> moved =
          step_distances(plan(), params, moved_start, expected, step(*reference_));
      for (std::size_t k = 0; k < moved.size(); ++k) {
        const double share = kNeighbourFactor * share_of_rounding(distances[k].quantity, i, rounding);
        if (share > 0)  // what moves to infinity times 0 is NaN
          distances[k].allowed = std::max(distances[k].allowed, bounds[k] + share * moved[k].value);
      }
    }
    begin_from(*reference_, after);
    reference_->write(StateBuffer::gradients, gradients);
  }

  Error disagreement(const std::string& name, const std::vector<Distance>& distances) const {
    const auto is_wrong = [](const Distance& distance) { return !distance.within(); };
    const Distance& first = *std::ranges::find_if(distances, is_wrong);
    const auto others = std::ranges::count_if(distances, is_wrong) - 1;
    std::string message = "the devices disagree in " + name + ": " + to_string(first.quantity);
    if (!first.tensor.empty()) message += " " + first.tensor + " of op '" + op_of(first.tensor) + "'";
    message += " is " + short_text(first.value) + " off, allowed " + short_text(first.allowed);
    if (others > 0) message += " (and " + std::to_string(others) + " more)";
    return {ErrorKind::runtime, message + "; " + judged_->variant() + " against " + reference_->variant() +
                                    ", from the same state"};
  }

  std::string op_of(const std::string& tensor) const {
    const std::string layer = tensor.substr(0, tensor.rfind('.'));
    const auto found = std::ranges::find(plan().network.layers(), layer, &Layer::name);
    const auto position = found - plan().network.layers().begin();
    for (const PlanOp& op : plan().ops)
      if (op.first_layer <= position && position <= op.last_layer) return op.name;
    return "";
  }

  std::unique_ptr<Executable> reference_, judged_;
  std::vector<StepMetrics> metrics_;
  std::vector<float> logits_;  ///< of the last evaluation: the neighbours' follow them in the reference
  bool halted_ = false;        ///< a loss was not finite
  std::int64_t train_steps_ = 0, eval_steps_ = 0, near_ties_ = 0;
  std::map<Quantity, double> largest_;
};

class CheckBackend final : public Backend {
 public:
  CheckBackend(std::unique_ptr<Backend> reference, std::unique_ptr<Backend> judged)
      : reference_(std::move(reference)), judged_(std::move(judged)) {}

  std::unique_ptr<Executable> compile(const PlanRequest& request) override {
    // What is inspected is the reference: its steps are judged where they train.
    if (request.purpose == Purpose::inspection) return reference_->compile(request);
    return std::make_unique<CheckExecutable>(reference_->compile(request), judged_->compile(request));
  }

  std::int64_t memory_bytes(const PlanRequest& request) override { return reference_->memory_bytes(request); }

  DevicePeaks measure_peaks() override { return reference_->measure_peaks(); }

  std::string description() const override {
    return "check: " + judged_->description() + " against " + reference_->description();
  }

 private:
  std::unique_ptr<Backend> reference_, judged_;
};

}  // namespace

std::unique_ptr<Backend> make_check_backend(std::unique_ptr<Backend> reference,
                                            std::unique_ptr<Backend> judged) {
  return std::make_unique<CheckBackend>(std::move(reference), std::move(judged));
}

}  // namespace bntrain
