#include "plan/fuse.hpp"

#include <algorithm>
#include <utility>

#include "bntrain/error.hpp"

namespace bntrain {
namespace {

/// Walks the layers and fuses greedily.
class OpBuilder {
 public:
  explicit OpBuilder(Plan& plan) : layers_(plan.network.layers()), plan_(plan) {
    readers_.resize(layers_.size());
    for (const Layer& layer : layers_)
      for (const int input : layer.inputs)
        if (input != network_input) ++readers_[static_cast<std::size_t>(input)];
  }

  void build() {
    plan_.values.push_back({plan_.network.input()});
    while (next_ < layers_.size()) {
      first_ = next_;
      switch (layers_[next_].kind) {
        case LayerKind::conv:
        case LayerKind::linear:
          add_weighted();
          break;
        case LayerKind::flatten:  // memory order [C][H][W] is the flat order: readers read the same value
          value_of_.push_back(value_of(layers_[next_++].inputs.front()));
          break;
        case LayerKind::batch_norm:
        case LayerKind::activation:
        case LayerKind::max_pool:
        case LayerKind::average_pool:
          add_block();
          break;
        case LayerKind::add:
          add_sum();
          break;
      }
    }
    PlanOp loss;
    loss.kind = OpKind::loss;
    loss.output = value_of(static_cast<int>(layers_.size()) - 1);
    loss.inputs = {loss.output};
    loss.first_layer = loss.last_layer = static_cast<int>(layers_.size()) - 1;
    loss.name = "loss";
    loss.in = loss.out = layers_.back().output;
    plan_.ops.push_back(std::move(loss));
  }

 private:
  int value_of(int layer) const {
    return layer == network_input ? 0 : value_of_[static_cast<std::size_t>(layer)];
  }

  /// The next layer where it is of that kind and can join the op: it alone reads what the op has so far.
  const Layer* take(LayerKind kind) {
    if (next_ == layers_.size() || layers_[next_].kind != kind) return nullptr;
    const Layer& layer = layers_[next_];
    if (next_ > first_) {
      if (plan_.purpose == Purpose::inspection) return nullptr;
      if (layer.inputs.front() != static_cast<int>(next_) - 1 || readers_[next_ - 1] != 1) return nullptr;
    }
    ++next_;
    return &layer;
  }

  const Layer* take_activation(bool (*fits)(const ActivationType&)) {
    if (next_ == layers_.size() || layers_[next_].kind != LayerKind::activation) return nullptr;
    return fits(activation_type(layers_[next_].activation.kind)) ? take(LayerKind::activation) : nullptr;
  }

  std::int64_t parameter(int layer, TensorRole role) const {
    const auto found = std::ranges::find_if(plan_.network.parameters(), [&](const Parameter& candidate) {
      return candidate.layer == layer && candidate.role == role;
    });
    return found == plan_.network.parameters().end() ? -1 : found->offset;
  }

  void add_weighted() {
    PlanOp op;
    const Layer& layer = layers_[next_];
    const int position = static_cast<int>(next_);
    ++next_;
    op.kind = layer.kind == LayerKind::conv ? OpKind::conv : OpKind::linear;
    op.kernel = layer.kernel;
    op.stride = layer.stride;
    op.padding = layer.padding;
    op.weight = parameter(position, TensorRole::weight);
    op.bias = parameter(position, TensorRole::bias);
    if (op.kind == OpKind::linear) {
      const auto is_relu = [](const ActivationType& type) { return type.kind == ActivationKind::relu; };
      if (const Layer* relu = take_activation(is_relu)) op.activation = relu->activation;
    }
    finish(std::move(op));
  }

  void add_block() {
    PlanOp op;
    op.kind = OpKind::block;
    if (take(LayerKind::batch_norm) != nullptr) {
      const int position = static_cast<int>(next_) - 1;
      const auto running = std::ranges::find(plan_.network.running(), position, &RunningStatistics::layer);
      op.norm = NormKind::batch;
      op.gamma = parameter(position, TensorRole::gamma);
      op.beta = parameter(position, TensorRole::beta);
      op.running_mean = running->mean_offset;
      op.running_var = running->var_offset;
    }
    if (const Layer* activation = take(LayerKind::activation)) op.activation = activation->activation;
    // A maximum is taken before the activation, of raw values: the activation must keep their order.
    const bool monotone = !op.has_activation() || activation_type(op.activation.kind).monotone;
    if (const Layer* maximum = monotone ? take(LayerKind::max_pool) : nullptr) {
      op.pool = maximum->kernel;
    } else if (const Layer* average = take(LayerKind::average_pool)) {
      op.pool = average->kernel;
      op.pooling = Pooling::average;
    }
    finish(std::move(op));
  }

  void add_sum() {
    PlanOp op;
    op.kind = OpKind::add;
    take(LayerKind::add);
    // The sum itself is kept nowhere.
    const auto needs_no_input = [](const ActivationType& type) { return type.gradient_from_output; };
    if (const Layer* activation = take_activation(needs_no_input)) op.activation = activation->activation;
    finish(std::move(op));
  }

  /// Layers [first_, next_) become `op`, which writes a new value.
  void finish(PlanOp op) {
    const Layer &first = layers_[first_], &last = layers_[next_ - 1];
    op.first_layer = static_cast<int>(first_);
    op.last_layer = static_cast<int>(next_) - 1;
    op.name = first.name;
    if (next_ - first_ > 1) op.name += "-" + last.name.substr(last.name.rfind('.') + 1);
    for (std::size_t i = first_; i < next_; ++i) op.name += (i == first_ ? " " : "+") + layers_[i].text;
    for (const int input : first.inputs) op.inputs.push_back(value_of(input));
    op.in = first.input;
    op.out = last.output;
    op.output = static_cast<int>(plan_.values.size());
    plan_.values.push_back({last.output});
    for (std::size_t i = first_; i < next_; ++i) value_of_.push_back(op.output);
    plan_.ops.push_back(std::move(op));
  }

  const std::vector<Layer>& layers_;
  Plan& plan_;
  std::vector<int> readers_;   ///< layers that read a layer's output
  std::vector<int> value_of_;  ///< by layer, as far as they were passed; inside an op that of its end
  std::size_t first_ = 0;      ///< first layer of the op that is built
  std::size_t next_ = 0;
};

std::vector<int> count_readers(const Plan& plan) {
  std::vector<int> readers(plan.values.size());
  for (const PlanOp& op : plan.ops)
    for (const int input : op.inputs) ++readers[static_cast<std::size_t>(input)];
  return readers;
}

/// A convolution and the block after it, if that alone reads it and takes its channels for its own: after a
/// flatten other channels are made of the same values.
void pair_convolutions(Plan& plan, const std::vector<int>& readers, const FusionRules& rules) {
  if (plan.purpose == Purpose::inspection) return;
  for (std::size_t i = 0; i + 1 < plan.ops.size(); ++i) {
    PlanOp &conv = plan.ops[i], &block = plan.ops[i + 1];
    if (conv.kind != OpKind::conv || block.kind != OpKind::block || block.input() != conv.output ||
        readers[static_cast<std::size_t>(conv.output)] != 1 || block.in != conv.out)
      continue;
    conv.block_after = static_cast<int>(i) + 1;
    block.conv_before = static_cast<int>(i);
    conv.bias_absorbed = conv.bias >= 0 && block.has_norm();
    conv.gradient_rebuilt = rules.rebuild_conv_gradients && plan.has_gradients();
  }
}

/// In the order of the backward pass the first reader of a value stores its gradient, the others add to it.
void assign_gradients(Plan& plan, const std::vector<int>& readers) {
  std::vector<bool> stored(plan.values.size(), false);
  for (std::size_t i = plan.ops.size(); i-- > 0;) {
    PlanOp& op = plan.ops[i];
    op.input_gradients.assign(op.inputs.size(), InputGradient::none);
    if (!plan.has_gradients()) continue;
    for (std::size_t k = op.inputs.size(); k-- > 0;) {
      const auto value = static_cast<std::size_t>(op.inputs[k]);
      if (value == 0) continue;
      op.input_gradients[k] = stored[value] ? InputGradient::add : InputGradient::store;
      stored[value] = true;
    }
    // What nobody else reads or adds to needs no memory of its own.
    if (op.kind == OpKind::add && plan.purpose != Purpose::inspection && op.inputs[0] != 0 &&
        readers[static_cast<std::size_t>(op.inputs[0])] == 1)
      op.input_gradients[0] = InputGradient::shared;
  }
}

}  // namespace

void fuse(Plan& plan, const FusionRules& rules) {
  OpBuilder(plan).build();
  const std::vector<int> readers = count_readers(plan);
  pair_convolutions(plan, readers, rules);
  assign_gradients(plan, readers);
}

}  // namespace bntrain
