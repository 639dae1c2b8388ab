// The training step as a list: fused steps over numbered values in one arena.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bntrain/activation.hpp"
#include "bntrain/batch_norm.hpp"
#include "bntrain/network.hpp"

namespace bntrain {

/// conv:   convolution (+ bias)
/// linear: matrix product (+ bias) (+ ReLU)
/// block:  any of batch norm, an activation, pooling, in this order, in one pass
/// loss:   softmax cross-entropy with its gradient and the metrics
enum class StepKind { conv, linear, block, loss };

/// The three passes of a training step: activations, gradients, new parameters.
enum class StepPass { forward, backward, update };

/// One fused step. Offsets count floats; -1 means "has none".
struct PlanStep {
  StepKind kind = StepKind::loss;
  int input = 0;   ///< number of the value read
  int output = 0;  ///< number of the value written (the loss writes none: equal to input)
  int first_layer = 0;
  int last_layer = 0;  ///< layers [first, last] of the network are fused here
  std::string name;    ///< "0 conv20x5", "1-3 bn+relu+maxpool2", "loss"

  std::int64_t kernel = 1, stride = 1, padding = 0;  // conv
  std::int64_t weight = -1, bias = -1;               // conv, linear: offsets into the parameters
  Activation activation = Activation::none;          // block; linear: none or relu
  bool norm = false;                                 // block
  std::int64_t gamma = -1, beta = -1;                // block: offsets into the parameters
  std::int64_t running_mean = -1, running_var = -1;  // block: offsets into the running statistics
  std::int64_t pool = 1;                             // block: pooling window, 1 = none
  Pooling pooling = Pooling::maximum;                // block
};

/// An activation, and in training its gradient. Arena offsets count floats PER IMAGE: the address is
/// base + offset * batch capacity, so one plan serves every batch size and lane count.
struct PlanValue {
  Shape shape;  ///< as its producer writes it; behind a flatten the consumer sees layers()[first_layer].input
  std::int64_t offset = 0;
  std::int64_t gradient_offset = -1;  ///< -1: never materialised
};

struct PlanOptions {
  bool training = true;
  /// Leaves out the gradients of convolution outputs that a block follows: the CPU backend rebuilds them
  /// group by group where they are consumed.
  bool rebuild_conv_gradients = false;
  /// A plan for looking: every layer but a flatten is a step of its own that does just what the layer says,
  /// and every activation and gradient (but the images') stays in memory of its own. For
  /// Executable::read_value(); slower, and larger.
  bool every_value = false;
};

struct Plan {
  Network network;
  BatchNormOptions batch_norm;
  std::int64_t batch_size = 0;
  bool training = true;
  bool every_value = false;       ///< see PlanOptions
  std::vector<PlanStep> steps;    ///< in forward order; the loss is last
  std::vector<PlanValue> values;  ///< value 0 is the input image as float
  std::int64_t arena_floats_per_image = 0;
};

/// Fuses the network's layers greedily and lays out the arena by the lifetimes of forward and backward pass.
Plan make_plan(const Network& network, const BatchNormOptions& batch_norm, std::int64_t batch_size,
               const PlanOptions& options);

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
