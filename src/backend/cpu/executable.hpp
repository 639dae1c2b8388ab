// The compiled training step on the CPU.
#pragma once

#include <memory>
#include <vector>

#include "backend/cpu/ops/block.hpp"
#include "backend/cpu/ops/loss.hpp"
#include "backend/cpu/ops/op.hpp"
#include "backend/executable.hpp"

namespace bntrain::cpu {

class CpuExecutable final : public Executable, public Diagnostics {
 public:
  /// Knows what it needs, and has no memory for tensors until allocate().
  CpuExecutable(Plan plan, const Kernels& kernels, ConvMethod conv, int threads);

  /// Bytes of all buffers.
  std::int64_t memory_bytes() const { return w_.reserved_bytes(); }
  void allocate();

  const Plan& plan() const override { return plan_; }
  void bind_training_images(const ImageSet& images) override;
  void bind_evaluation_images(const ImageSet& images) override;
  void set_order(std::span<const std::int64_t> order) override;
  void train_step(BatchRange range, const StepParams& params) override;
  void eval_step(BatchRange range) override;
  std::vector<float> logits() override;
  std::vector<StepMetrics> drain_metrics() override;
  std::vector<float> read(StateBuffer buffer) const override;
  void write(StateBuffer buffer, std::span<const float> values) override;
  std::int64_t updates() const override { return updates_; }
  void restart(std::int64_t updates) override;
  std::string variant() const override;

  Diagnostics& diagnostics() override { return *this; }
  std::vector<BatchStatistics> eval_step_by_batch(BatchRange range, int first_layer) override;
  std::string first_non_finite(BatchRange range) override;
  std::vector<OpTiming> time_ops(BatchRange range, int repetitions) override;
  std::vector<float> read_value(int value, StepPass pass, std::int64_t images) const override;

 private:
  /// Images and the order in which they are visited.
  struct Source {
    const ImageSet* images = nullptr;
    std::vector<std::int64_t> order;
  };

  void build_ops();
  void bind(Source& source, const ImageSet& images);
  Pass begin(const Source& source, BatchRange range, int by_batch_from, double gradient_scale);
  void forward(const Pass& pass);
  void evaluate(BatchRange range, int by_batch_from);
  void update(const UpdateScalars& scalars);
  void pack();
  /// Of a value in the arena, whose lanes are images: [image][element].
  std::vector<float> by_image(const float* lanes, std::int64_t size, std::int64_t images) const;

  const Plan plan_;
  const std::vector<float> mean_, std_;  ///< of the images' channels; empty: pixel / 255
  ThreadTeam team_;
  Workspace w_;
  std::vector<std::unique_ptr<Op>> ops_;
  std::vector<BlockOp*> norms_;  ///< the ops that have running statistics, in the order of the layers
  LossOp* loss_ = nullptr;
  struct PackTask {
    Op* op;
    std::int64_t task;
  };
  std::vector<PackTask> pack_tasks_;
  Source training_, evaluation_;
  std::vector<StepMetrics> metrics_;
  std::int64_t evaluated_ = 0;  ///< images of the last evaluation
  std::int64_t updates_ = 0;    ///< num_batches_tracked
  bool halted_ = false;         ///< a loss was not finite
};

}  // namespace bntrain::cpu
