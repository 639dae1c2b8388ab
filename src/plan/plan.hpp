// The training step as a list of ops over numbered values in one arena. Everything that devices, costs,
// timing, inspection and comparison must agree on is decided here, once: what is fused, whose gradient is
// stored, added to or shared, which bias a batch norm absorbs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bntrain/network.hpp"
#include "bntrain/optimizer.hpp"

namespace bntrain {

/// conv:   convolution (+ bias)
/// linear: matrix product (+ bias) (+ ReLU)
/// block:  any of batch norm, an activation, pooling, in this order, in one pass
/// add:    sum of two values (+ activation)
/// loss:   softmax cross-entropy with its gradient and the metrics
enum class OpKind { conv, linear, block, add, loss };

/// The three passes of a training step: activations, gradients, new parameters.
enum class StepPass { forward, backward, update };

enum class NormKind { none, batch };

enum class Pooling { maximum, average };

/// What the backward pass of an op does with the gradient of one of its inputs.
enum class InputGradient {
  none,    ///< nothing: the images have no gradient
  store,   ///< it writes it
  add,     ///< it adds to what another reader of that value has left there
  shared,  ///< nothing is left to do: it is in the same memory as the output's gradient
};

/// One fused op. Offsets count floats; -1 means "has none". An op is the last that reads the gradient of its
/// output, so its backward pass may overwrite it.
struct PlanOp {
  OpKind kind = OpKind::loss;
  std::vector<int> inputs;  ///< numbers of the values read; add has two, all others one
  int output = 0;           ///< number of the value written (the loss writes none: equal to its input)
  int first_layer = 0;
  int last_layer = 0;  ///< layers [first, last] of the network are fused here
  std::string name;    ///< "0 conv20x5", "1-3 bn+relu+maxpool2", "3.body.0 conv8x3p1", "loss"
  Shape in, out;       ///< as the op takes them: after a flatten every element is a channel

  std::int64_t kernel = 1, stride = 1, padding = 0;  // conv
  std::int64_t weight = -1, bias = -1;               // conv, linear: offsets into the parameters
  NormKind norm = NormKind::none;                    // block
  std::int64_t gamma = -1, beta = -1;                // block: offsets into the parameters
  std::int64_t running_mean = -1, running_var = -1;  // block: offsets into the running statistics
  Activation activation;                             // block, add; linear: none or relu
  std::int64_t pool = 1;                             // block: pooling window, 1 = none
  Pooling pooling = Pooling::maximum;                // block

  // Decisions.
  std::vector<InputGradient> input_gradients;  ///< one an input; none throughout without training
  int block_after = -1;        ///< conv: the op, a block, that alone reads its output, channel by channel
  int conv_before = -1;        ///< block: the op whose block_after it is
  bool bias_absorbed = false;  ///< conv: the batch norm after it subtracts the bias again: its gradient is 0
  bool gradient_rebuilt = false;  ///< conv: its output's gradient is in no memory, block_after rebuilds it

  int input() const { return inputs.front(); }
  bool has_norm() const { return norm != NormKind::none; }
  bool has_activation() const { return activation.kind != ActivationKind::none; }
  bool takes_maximum() const { return pool > 1 && pooling == Pooling::maximum; }
  bool takes_average() const { return pool > 1 && pooling == Pooling::average; }
};

/// An activation, and in training its gradient. Arena offsets count floats PER IMAGE: the address is
/// base + offset * batch capacity, so one plan serves every batch size and lane count.
struct PlanValue {
  Shape shape;  ///< as its producer writes it
  std::int64_t offset = 0;
  std::int64_t gradient_offset = -1;  ///< -1: never materialised
};

/// What a plan is for.
enum class Purpose {
  training,    ///< fused, with gradients
  inference,   ///< fused, without
  inspection,  ///< unfused, and materialises every tensor: each layer but a flatten is an op of its own, and
               ///< each value and gradient (but the images') has memory of its own. Slower and larger.
};

struct PlanRequest {
  const Network& network;
  BatchNormOptions batch_norm;
  std::int64_t batch_size = 0;
  Purpose purpose = Purpose::training;
  UpdateRule update = UpdateRule::sgd;
  bool decay_weights_only = false;  ///< weight decay leaves biases, gamma and beta alone
};

/// What a device makes of it.
struct FusionRules {
  /// A convolution's backward pass takes the gradient of its output from the block after it, group by group,
  /// instead of from memory.
  bool rebuild_conv_gradients = false;
};

struct Plan {
  Network network;
  BatchNormOptions batch_norm;
  std::int64_t batch_size = 0;
  Purpose purpose = Purpose::training;
  UpdateRule update = UpdateRule::sgd;
  std::int64_t decayed_floats = 0;  ///< weight decay acts on that many of the parameters, from the first
  std::vector<PlanOp> ops;          ///< in forward order; the loss is last
  std::vector<PlanValue> values;    ///< value 0 is the input image as float
  std::int64_t arena_floats_per_image = 0;

  bool has_gradients() const { return purpose != Purpose::inference; }
  const PlanValue& value(int number) const { return values[static_cast<std::size_t>(number)]; }
  const PlanOp& op(int number) const { return ops[static_cast<std::size_t>(number)]; }
};

/// Fuses the network's layers greedily, decides, and lays out the arena by the lifetimes of forward and
/// backward pass.
Plan make_plan(const PlanRequest& request, const FusionRules& rules);

/// A buffer that is alive from the moment `first` to the moment `last`, both included.
struct BufferRequest {
  std::int64_t size = 0;
  int first = 0;
  int last = 0;
};

/// Offsets for the requests such that no two buffers alive together overlap (largest first, lowest fitting
/// offset); `total` receives the arena's length.
std::vector<std::int64_t> plan_arena(const std::vector<BufferRequest>& requests, std::int64_t& total);

}  // namespace bntrain
