// The boundary to the devices: a whole training step, compiled once, then only enqueued.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bntrain/backend.hpp"
#include "bntrain/metrics.hpp"
#include "bntrain/tensor.hpp"
#include "plan/plan.hpp"

namespace bntrain {

/// Positions [first, first + count) of the current order.
struct BatchRange {
  std::int64_t first = 0;
  std::int64_t count = 0;
};

/// What may change from step to step. The update works with g = (gradient summed over the batch) *
/// gradient_scale.
struct StepParams {
  UpdateScalars update;
  double gradient_scale = 1.0 / 256.0;
};

/// The flat buffers of an executable, laid out by Network: parameters, their gradients and what the optimiser
/// keeps as Parameter::offset says, running statistics as RunningStatistics.
enum class StateBuffer { parameters, gradients, first_moment, second_moment, running_statistics };

/// The end of every variant(). Raised with each change of the bits that a step gives, so that a run which an
/// earlier version began says so when it is resumed.
inline constexpr const char* arithmetic_version = ", arithmetic 4";

class Diagnostics;

/// A compiled training step: buffers, threads or streams are fixed. Nothing is allocated inside a step.
class Executable {
 public:
  virtual ~Executable() = default;
  virtual const Plan& plan() const = 0;

  /// The images of train_step() and of eval_step(), of the network's input shape. They must outlive the
  /// executable or the next call.
  virtual void bind_training_images(const ImageSet& images) = 0;
  virtual void bind_evaluation_images(const ImageSet& images) = 0;
  /// The order in which training images are visited, once per epoch: indices into the training set.
  virtual void set_order(std::span<const std::int64_t> order) = 0;

  /// What the next training steps will be given, in this order: a device may fetch it all at once instead of
  /// step by step. Changes no result.
  virtual void prepare(std::span<const StepParams> /*next*/) {}
  /// Forward, backward and update on these positions of the order; count <= the plan's batch size. Enqueues
  /// only. Once a loss was not finite, this and every later step leaves parameters and running statistics
  /// alone.
  virtual void train_step(BatchRange range, const StepParams& params) = 0;
  /// Forward with running statistics on these evaluation images, in the set's own order.
  virtual void eval_step(BatchRange range) = 0;
  /// The logits of the last evaluation: [image][class]. Waits for them.
  virtual std::vector<float> logits() = 0;
  /// The metrics of every step since the last call, in order. The only synchronisation.
  virtual std::vector<StepMetrics> drain_metrics() = 0;

  /// A whole buffer. Both wait. (state.hpp makes tensors of them.)
  virtual std::vector<float> read(StateBuffer buffer) const = 0;
  virtual void write(StateBuffer buffer, std::span<const float> values) = 0;
  /// Applied updates, num_batches_tracked.
  virtual std::int64_t updates() const = 0;
  /// Sets them, after other parameters were written; steps that a loss had halted are made again.
  virtual void restart(std::int64_t updates) = 0;

  /// Names what the bits depend on: "cpu x86-64-v4 (16 lanes), arithmetic 4".
  virtual std::string variant() const = 0;
  /// One line for people about the steps so far; "" when there is nothing to say.
  virtual std::string report() const { return ""; }

  virtual Diagnostics& diagnostics() = 0;
};

/// What one batch norm met in a batch: a mean and a variance (M2 / n) for each of its channels.
struct BatchStatistics {
  std::vector<double> mean, var;
};

/// How long one part of the training step took, repetition by repetition.
struct OpTiming {
  std::string name;  ///< "gather", a PlanOp's name, or "update"
  StepPass pass = StepPass::forward;
  std::string variant;  ///< the algorithm or the kernels that ran, in the backend's words; may be empty
  std::vector<double> seconds;
};

/// The most that a device reaches in memory traffic and in arithmetic, as measured.
struct DevicePeaks {
  double copy_bytes_per_second = 0;  ///< bytes read plus bytes written
  double fma_flops_per_second = 0;   ///< float32; a multiply-add counts as 2
};

/// Looks inside an executable. Training does without it.
class Diagnostics {
 public:
  virtual ~Diagnostics() = default;

  /// As eval_step(), but the batch norms of layer `first_layer` and later ones divide by the statistics of
  /// these images, as in training. Returns what those were, in the order of the layers; running statistics
  /// stay.
  virtual std::vector<BatchStatistics> eval_step_by_batch(BatchRange range, int first_layer) = 0;

  /// One training-mode forward pass that changes nothing. Returns the name of the first op whose parameters
  /// or output are not finite, or "" when all are.
  virtual std::string first_non_finite(BatchRange range) = 0;

  /// Runs that training step `repetitions` times part by part, after one that is not timed, and changes
  /// nothing: parameters, gradients, optimiser, running statistics, update count and metrics keep their bits.
  /// The parts in the order in which they run: "gather", forward every op, backward every op but the loss
  /// (whose forward pass writes the gradient of the logits), last op first, and "update". Each part waits for
  /// the one before it, so their sum may exceed a train_step().
  virtual std::vector<OpTiming> time_ops(BatchRange range, int repetitions) = 0;

  /// What the last training step left of the plan's value of that number (StepPass::forward) or of its
  /// gradient (StepPass::backward), the gradient of loss * gradient_scale: (images, C, H, W) of the first
  /// `images` of its batch. Only in a plan for inspection, where it is materialised.
  virtual std::vector<float> read_value(int value, StepPass pass, std::int64_t images) const = 0;
};

}  // namespace bntrain
