// The compiled training step on a GPU: a batch size that comes again is captured and replayed as one graph,
// and where several steps follow each other as one graph of these.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/cuda/ops/block.hpp"
#include "backend/cuda/program.hpp"
#include "backend/executable.hpp"

namespace bntrain::cuda {

class CudaExecutable final : public Executable, public Diagnostics {
 public:
  CudaExecutable(Plan plan, Precision precision);

  const Plan& plan() const override { return plan_; }
  /// The images go to the device here, as bytes.
  void bind_training_images(const ImageSet& images) override;
  void bind_evaluation_images(const ImageSet& images) override;
  void set_order(std::span<const std::int64_t> order) override;
  void prepare(std::span<const StepParams> next) override;
  void train_step(BatchRange range, const StepParams& params) override;
  void eval_step(BatchRange range) override;
  std::vector<float> logits() override;
  std::vector<StepMetrics> drain_metrics() override;
  std::vector<float> read(StateBuffer buffer) const override;
  void write(StateBuffer buffer, std::span<const float> values) override;
  std::int64_t updates() const override;
  void restart(std::int64_t updates) override;
  std::string variant() const override;
  std::string report() const override;

  Diagnostics& diagnostics() override { return *this; }
  std::vector<BatchStatistics> eval_step_by_batch(BatchRange range, int first_layer) override;
  std::string first_non_finite(BatchRange range) override;
  std::vector<OpTiming> time_ops(BatchRange range, int repetitions) override;
  std::vector<float> read_value(int value, StepPass pass, std::int64_t images) const override;

 private:
  /// Images and labels on the device.
  struct Images {
    Images(const ImageSet& set, DeviceStream& stream);
    std::int64_t count;
    DeviceArray<std::uint8_t> pixels, labels;
  };
  /// What is enqueued as a whole: run launch by launch at first, then captured, then replayed.
  struct Routine {
    bool ran = false;
    std::optional<Graph> graph;
  };
  struct Compiled {
    Compiled(Workspace& workspace, std::int64_t batch) : program(workspace, batch) {}
    Program program;
    Routine training, evaluation;
    std::optional<Graph> training_steps;  ///< kStepsPerGraph of them
  };
  /// Training steps of one batch size that follow each other and are not enqueued yet, so that they can be
  /// launched together. Whatever else is asked of the executable enqueues them first.
  struct Pending {
    std::int64_t batch = 0, steps = 0;
  };

  Compiled& compiled(std::int64_t batch);
  /// What the device holds when the step begins. Only finish() says what it holds afterwards.
  kernels::BatchState begin(BatchRange range, std::int64_t images, float gradient_scale);
  void run(Routine& routine, const std::function<void()>& enqueue) const;
  void enqueue_training(Program& program) const;
  void launch_pending() const;
  void finish(kernels::BatchState begun, BatchRange range);
  Feed feed(const std::optional<Images>& images, const std::int64_t* order) const;
  /// Scalars that the device does not hold yet, for the slots from `slot` on.
  void upload_scalars(std::int64_t slot, std::span<const UpdateScalars> scalars);
  BatchStatistics read_statistics(const BlockOp& op) const;
  bool finite(const float* values, std::int64_t count) const;
  const DeviceArray<float>& buffer(StateBuffer buffer) const;
  std::vector<float> read(const float* values, std::int64_t count) const;

  const std::int64_t free_before_ = free_memory();
  const Plan plan_;
  const Precision precision_;
  mutable Workspace w_;  ///< reading from the device is an action of its stream
  std::optional<Images> training_, evaluation_;
  std::optional<DeviceArray<std::int64_t>> order_;
  std::int64_t order_count_ = 0;
  DeviceArray<kernels::BatchState> state_;
  DeviceArray<UpdateScalars> scalars_;  ///< a ring: a step's are at the slot of its metrics
  DeviceArray<kernels::BatchMetrics> metrics_;
  DeviceArray<std::int64_t> updates_;  ///< one element, num_batches_tracked
  // Mutable: reading enqueues what is pending.
  mutable std::map<std::int64_t, Compiled> programs_;  ///< by batch size
  mutable Pending pending_;

  // What the device holds once everything is done that was enqueued or is pending; empty where that is not
  // known.
  mutable std::optional<kernels::BatchState> expected_state_;
  std::vector<std::optional<UpdateScalars>> expected_scalars_;  ///< by slot
  mutable std::int64_t undrained_ = 0;
  std::int64_t evaluated_ = 0;  ///< images of the last evaluation
  std::vector<StepMetrics> drained_;
};

}  // namespace bntrain::cuda
