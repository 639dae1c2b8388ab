#include "bntrain/plan.hpp"

#include <algorithm>
#include <iterator>

#include "bntrain/error.hpp"

namespace bntrain {
namespace {

/// Walks the layers and fuses greedily.
class StepBuilder {
 public:
  StepBuilder(const Network& network, Plan& plan)
      : layers_(network.layers()), network_(network), plan_(plan) {}

  void build() {
    plan_.values.push_back({network_.input()});
    while (next_ < layers_.size()) {
      first_ = next_;
      switch (layers_[next_].kind) {
        case LayerKind::conv:
          add_conv();
          break;
        case LayerKind::linear:
          add_linear();
          break;
        case LayerKind::flatten:
          ++next_;  // memory order [C][H][W] is the flat order: the consumer reads the same value
          break;
        case LayerKind::batch_norm:
        case LayerKind::relu:
        case LayerKind::sigmoid:
        case LayerKind::max_pool:
        case LayerKind::average_pool:
          add_block();
          break;
      }
    }
    PlanStep loss;
    loss.kind = StepKind::loss;
    loss.input = loss.output = static_cast<int>(plan_.values.size()) - 1;
    loss.first_layer = loss.last_layer = static_cast<int>(layers_.size()) - 1;
    loss.name = "loss";
    plan_.steps.push_back(std::move(loss));
  }

 private:
  const Layer* take(LayerKind kind) {
    if (plan_.every_value && next_ > first_) return nullptr;  // nothing is fused
    if (next_ == layers_.size() || layers_[next_].kind != kind) return nullptr;
    return &layers_[next_++];
  }

  std::int64_t parameter(int layer, ParameterRole role) const {
    const auto found = std::find_if(
        network_.parameters().begin(), network_.parameters().end(),
        [&](const Parameter& candidate) { return candidate.layer == layer && candidate.role == role; });
    BNTRAIN_EXPECTS(found != network_.parameters().end());
    return found->offset;
  }

  void add_conv() {
    PlanStep step;
    const Layer& layer = *take(LayerKind::conv);
    step.kind = StepKind::conv;
    step.kernel = layer.kernel;
    step.stride = layer.stride;
    step.padding = layer.padding;
    step.weight = parameter(layer.index, ParameterRole::weight);
    if (layer.bias) step.bias = parameter(layer.index, ParameterRole::bias);
    finish(step, layer.index);
  }

  void add_linear() {
    PlanStep step;
    const Layer& layer = *take(LayerKind::linear);
    step.kind = StepKind::linear;
    step.weight = parameter(layer.index, ParameterRole::weight);
    if (layer.bias) step.bias = parameter(layer.index, ParameterRole::bias);
    if (take(LayerKind::relu) != nullptr) step.activation = Activation::relu;
    finish(step, layer.index);
  }

  void add_block() {
    PlanStep step;
    const int first = layers_[next_].index;
    step.kind = StepKind::block;
    if (const Layer* norm = take(LayerKind::batch_norm)) {
      const auto running =
          std::find_if(network_.running().begin(), network_.running().end(),
                       [&](const RunningStatistics& one) { return one.layer == norm->index; });
      BNTRAIN_EXPECTS(running != network_.running().end());
      step.norm = true;
      step.gamma = parameter(norm->index, ParameterRole::gamma);
      step.beta = parameter(norm->index, ParameterRole::beta);
      step.running_mean = running->mean_offset;
      step.running_var = running->var_offset;
    }
    if (take(LayerKind::relu) != nullptr)
      step.activation = Activation::relu;
    else if (take(LayerKind::sigmoid) != nullptr)
      step.activation = Activation::sigmoid;
    if (const Layer* maximum = take(LayerKind::max_pool)) {
      step.pool = maximum->kernel;
    } else if (const Layer* average = take(LayerKind::average_pool)) {
      step.pool = average->kernel;
      step.pooling = Pooling::average;
    }
    finish(step, first);
  }

  /// Layers [first, next_) become `step`, which reads the newest value and writes a new one.
  void finish(PlanStep& step, int first) {
    step.first_layer = first;
    step.last_layer = static_cast<int>(next_) - 1;
    step.name = std::to_string(first);
    if (step.last_layer > first) step.name += "-" + std::to_string(step.last_layer);
    for (int layer = first; layer <= step.last_layer; ++layer) {
      step.name += (layer == first ? " " : "+") + layers_[static_cast<std::size_t>(layer)].text;
    }
    step.input = static_cast<int>(plan_.values.size()) - 1;
    step.output = step.input + 1;
    plan_.values.push_back({layers_[static_cast<std::size_t>(step.last_layer)].output});
    plan_.steps.push_back(step);
  }

  const std::vector<Layer>& layers_;
  const Network& network_;
  Plan& plan_;
  std::size_t first_ = 0;  ///< first layer of the step that is built
  std::size_t next_ = 0;
};

/// Whether the backward pass of this convolution rebuilds the gradient of its output from the block behind
/// it.
bool rebuilds_gradient(const Plan& plan, std::size_t step, const PlanOptions& options) {
  return options.training && options.rebuild_conv_gradients && !options.every_value &&
         plan.steps[step].kind == StepKind::conv && plan.steps[step + 1].kind == StepKind::block &&
         // a flatten in between makes other channels of the same values
         plan.steps[step + 1].first_layer == plan.steps[step].last_layer + 1;
}

/// Step i of n runs forward at moment i and backward at moment 2n - 1 - i.
void place_values(Plan& plan, const PlanOptions& options) {
  const int steps = static_cast<int>(plan.steps.size());
  std::vector<BufferRequest> activations, gradients;
  for (const PlanValue& value : plan.values) {
    activations.push_back({value.shape.size(), 2 * steps, -1});
    gradients.push_back({value.shape.size(), 2 * steps, -1});
  }
  const auto use = [](std::vector<BufferRequest>& requests, int value, int moment) {
    BufferRequest& request = requests[static_cast<std::size_t>(value)];
    request.first = std::min(request.first, moment);
    request.last = std::max(request.last, moment);
  };

  for (int i = 0; i < steps; ++i) {
    const PlanStep& step = plan.steps[static_cast<std::size_t>(i)];
    use(activations, step.input, i);
    use(activations, step.output, i);
    if (!options.training) continue;

    const int backward = 2 * steps - 1 - i;
    use(activations, step.input, backward);
    // An activation's slope and a pool's winner are found again from the output.
    if (step.kind == StepKind::block || step.activation != Activation::none)
      use(activations, step.output, backward);
    if (step.input != 0) use(gradients, step.input, backward);
    use(gradients, step.output, backward);
    if (rebuilds_gradient(plan, static_cast<std::size_t>(i), options)) {
      const int block_output = plan.steps[static_cast<std::size_t>(i) + 1].output;
      use(activations, step.output, backward);
      use(activations, block_output, backward);
      use(gradients, block_output, backward);
    }
  }
  for (int i = 0; i < steps; ++i) {
    if (rebuilds_gradient(plan, static_cast<std::size_t>(i), options)) {
      gradients[static_cast<std::size_t>(plan.steps[static_cast<std::size_t>(i)].output)].last = -1;
    }
  }

  if (options.every_value) {
    for (std::vector<BufferRequest>* requests : {&activations, &gradients}) {
      for (BufferRequest& request : *requests) {
        if (request.last >= 0) request = {request.size, 0, 2 * steps};
      }
    }
  }

  std::vector<BufferRequest> requests = activations;
  std::copy_if(gradients.begin(), gradients.end(), std::back_inserter(requests),
               [](const BufferRequest& request) { return request.last >= 0; });
  const std::vector<std::int64_t> offsets = plan_arena(requests, plan.arena_floats_per_image);
  std::size_t next = plan.values.size();
  for (std::size_t value = 0; value < plan.values.size(); ++value) {
    plan.values[value].offset = offsets[value];
    if (gradients[value].last >= 0) plan.values[value].gradient_offset = offsets[next++];
  }
}

}  // namespace

Plan make_plan(const Network& network, const BatchNormOptions& batch_norm, std::int64_t batch_size,
               const PlanOptions& options) {
  BNTRAIN_EXPECTS(batch_size > 0);
  Plan plan;
  plan.network = network;
  plan.batch_norm = batch_norm;
  plan.batch_size = batch_size;
  plan.training = options.training;
  plan.every_value = options.every_value;
  StepBuilder(network, plan).build();
  place_values(plan, options);
  return plan;
}

}  // namespace bntrain
