// The boundary to the devices: a whole training step, compiled once, then only enqueued.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
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

  /// The metrics of every step since the last call, in order. The only synchronisation.
  virtual std::vector<StepMetrics> drain_metrics() = 0;

  /// One diagnostic training-mode forward pass that changes nothing. Returns the name of the first plan step
  /// whose parameters or output are not finite, or "" when all are.
  virtual std::string first_non_finite(BatchRange range) = 0;

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
  /// One line for people: "CPU, 2 threads, x86-64-v4 (16 lanes)".
  virtual std::string description() const = 0;
};

/// `check` trains on the CPU and has every step made by CUDA too, from the same state: a step that differs by
/// more than float32 explains throws Error(runtime).
enum class Device { automatic, cpu, cuda, check };

struct BackendOptions {
  Device device = Device::automatic;
  int threads = 0;  ///< CPU: 0 = every core that this process may use
  CpuIsa cpu_isa = CpuIsa::automatic;
};

/// The backend for these options. Throws Error(runtime) with the reason when the device cannot be had and
/// Error(usage) when this processor lacks the instruction set. `note` receives why `automatic` took the CPU.
std::unique_ptr<Backend> make_backend(const BackendOptions& options, std::string& note);

}  // namespace bntrain
