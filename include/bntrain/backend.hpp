// The boundary to the devices: a whole training step, compiled once, then only enqueued.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bntrain/cpu_isa.hpp"
#include "bntrain/dataset.hpp"
#include "bntrain/metrics.hpp"
#include "bntrain/plan.hpp"
#include "bntrain/tensor.hpp"

namespace bntrain {

/// Positions [first, first + count) of the current order.
struct BatchRange {
  std::int64_t first = 0;
  std::int64_t count = 0;
};

/// What may change from step to step. g = (gradient summed over the batch) * gradient_scale, then as
/// torch.optim.SGD: g += weight_decay * w; buffer = momentum * buffer + g (the first step: g); w -= lr *
/// buffer.
struct StepParams {
  double lr = 0.2;
  double momentum = 0.0;
  double weight_decay = 0.0;
  double gradient_scale = 1.0 / 256.0;
};

/// What one batch norm met in a batch: a mean and a variance (M2 / n) for each of its channels.
struct BatchStatistics {
  std::vector<double> mean, var;
};

/// How long one part of the training step took, repetition by repetition.
struct StepTiming {
  std::string name;  ///< "gather", a PlanStep's name, or "sgd"
  StepPass pass = StepPass::forward;
  std::string variant;  ///< the algorithm or the kernels that ran, in the backend's words; may be empty
  std::vector<double> seconds;
};

/// The most that a device reaches in memory traffic and in arithmetic, as measured.
struct DeviceCeilings {
  double copy_bytes_per_second = 0;  ///< bytes read plus bytes written
  double fma_flops_per_second = 0;   ///< float32; a multiply-add counts as 2
};

/// A compiled training step: buffers, threads or streams are fixed. Nothing is allocated inside a step.
class Executable {
 public:
  virtual ~Executable() = default;

  /// The order in which training images are visited, once per epoch: indices into the training set.
  virtual void set_order(std::span<const std::int64_t> order) = 0;

  /// Forward, backward and update on these positions of the order; count <= the plan's batch size. Enqueues
  /// only. Once a loss was not finite, this and every later step leaves parameters and running statistics
  /// alone.
  virtual void train_step(BatchRange range, const StepParams& params) = 0;

  /// Forward with running statistics on these images of the test set, in the set's own order.
  virtual void eval_step(BatchRange range) = 0;

  /// As eval_step(), but the batch norms of `first_layer` and later layers divide by the statistics of these
  /// images, as in training. Returns what those were, in the order of the layers; running statistics stay.
  virtual std::vector<BatchStatistics> eval_step_by_batch(BatchRange range, int first_layer) = 0;

  /// The logits of the last evaluation, of either kind: [image][class]. Waits for them.
  virtual std::vector<float> logits() = 0;

  /// The metrics of every step since the last call, in order. The only synchronisation.
  virtual std::vector<StepMetrics> drain_metrics() = 0;

  /// One diagnostic training-mode forward pass that changes nothing. Returns the name of the first plan step
  /// whose parameters or output are not finite, or "" when all are.
  virtual std::string first_non_finite(BatchRange range) = 0;

  /// Runs that training step `repetitions` times part by part, after one that is not timed, and changes
  /// nothing: parameters, gradients, momentum, running statistics, update count and metrics keep their bits.
  /// The parts in the order in which they run: "gather", forward every step of the plan, backward every step
  /// but the loss (whose forward pass writes the gradient of the logits), last step first, and "sgd" (the
  /// update, without momentum). Each part waits for the one before it, so their sum may exceed a
  /// train_step().
  virtual std::vector<StepTiming> time_steps(BatchRange range, int repetitions) = 0;

  /// What the last training step left of the plan's value of that number (StepPass::forward) or of its
  /// gradient (StepPass::backward), the gradient of loss * gradient_scale: (images, C, H, W) of the first
  /// `images` of its batch. Only in a plan of every value, where it is materialised.
  virtual std::vector<float> read_value(int value, StepPass pass, std::int64_t images) const = 0;

  /// Parameters and running statistics, by PyTorch's names; `num_batches_tracked` counts the applied updates.
  virtual ModelState save() const = 0;
  /// The gradients g of the last training step, one tensor a parameter.
  virtual ModelState save_gradients() const = 0;
  /// SGD's momentum (torch's momentum_buffer), one tensor a parameter; zeros until a step with momentum.
  virtual ModelState save_momentum() const = 0;
  /// Replaces parameters and running statistics, clears the momentum. Expects check_state() to have passed.
  virtual void load(const ModelState& state) = 0;
  /// Replaces the momentum; call it after load(), which clears it. Expects the tensors of save_momentum().
  virtual void load_momentum(const ModelState& momentum) = 0;

  /// Names what the bits depend on: "cpu x86-64-v4 (16 lanes)".
  virtual std::string variant() const = 0;
  /// One line for people about the steps so far; "" when there is nothing to say.
  virtual std::string report() const { return ""; }
};

/// A device that compiles plans. The data set must outlive the executable.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual PlanOptions plan_options() const = 0;
  virtual std::unique_ptr<Executable> compile(const Plan& plan, const Dataset& dataset) = 0;
  /// Measures them: a copy between two arrays too large for the caches, and independent chains of
  /// multiply-adds in registers. Takes seconds. Throws Error(runtime) when a result is wrong.
  virtual DeviceCeilings measure_ceilings() = 0;
  /// One line for people: "CPU, 2 threads, x86-64-v4 (16 lanes)".
  virtual std::string description() const = 0;
};

/// `check` trains on the CPU and has every step made by CUDA too, from the same state: a step that differs by
/// more than float32 explains throws Error(runtime).
enum class Device { automatic, cpu, cuda, check };

/// How products of convolutions and matrices are computed. The CPU backend always takes fp32.
enum class Precision {
  fp32,  ///< float32 throughout
  tf32,  ///< factors rounded to 10 bits of mantissa, sums in float32: for the tensor cores of a GPU
};

struct BackendOptions {
  Device device = Device::automatic;
  Precision precision = Precision::fp32;
  int threads = 0;  ///< CPU: 0 = every core that this process may use
  CpuIsa cpu_isa = CpuIsa::automatic;
};

/// The backend for these options. Throws Error(runtime) with the reason when the device cannot be had and
/// Error(usage) when this processor lacks the instruction set. `note` receives why `automatic` took the CPU.
std::unique_ptr<Backend> make_backend(const BackendOptions& options, std::string& note);

/// A name and what there is to say about it.
using Fact = std::pair<std::string, std::string>;
using Facts = std::vector<Fact>;

/// "cuda": the description of the CUDA backend, or why it cannot be had. Then what there is of it, also where
/// it cannot be had: the module, versions, devices.
Facts cuda_facts();

}  // namespace bntrain
