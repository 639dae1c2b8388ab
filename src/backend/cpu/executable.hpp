// The compiled training step on the CPU.
#pragma once

#include <memory>
#include <vector>

#include "backend/cpu/block_op.hpp"
#include "backend/cpu/loss_op.hpp"
#include "backend/cpu/op.hpp"
#include "bntrain/backend.hpp"

namespace bntrain::cpu {

class CpuExecutable final : public Executable {
 public:
  CpuExecutable(const Plan& plan, const Dataset& dataset, const Kernels& kernels, int threads);

  void set_order(std::span<const std::int64_t> order) override;
  void train_step(BatchRange range, const StepParams& params) override;
  void eval_step(BatchRange range) override;
  std::vector<BatchStatistics> eval_step_by_batch(BatchRange range, int first_layer) override;
  std::vector<float> logits() override;
  std::vector<StepMetrics> drain_metrics() override;
  std::string first_non_finite(BatchRange range) override;
  std::vector<StepTiming> time_steps(BatchRange range, int repetitions) override;
  std::vector<float> read_value(int value, StepPass pass, std::int64_t images) const override;
  ModelState save() const override;
  ModelState save_gradients() const override;
  ModelState save_momentum() const override;
  void load(const ModelState& state) override;
  void load_momentum(const ModelState& momentum) override;
  std::string variant() const override;

 private:
  void build_ops();
  Pass begin(const ImageSet& images, const std::vector<std::int64_t>& order, BatchRange range,
             int by_batch_from, double gradient_scale);
  void forward(const Pass& pass);
  void evaluate(BatchRange range, int by_batch_from);
  void update(const StepParams& params);
  void pack();
  ModelState copy_of(const FloatBuffer& by_parameter) const;
  bool finite(const float* values, std::int64_t count) const;

  const Plan plan_;
  const Dataset& dataset_;
  ThreadTeam team_;
  Workspace w_;
  std::vector<std::unique_ptr<Op>> ops_;
  std::vector<BlockOp*> norms_;  ///< the ops that have running statistics
  LossOp* loss_ = nullptr;
  struct PackTask {
    Op* op;
    std::int64_t task;
  };
  std::vector<PackTask> pack_tasks_;
  std::vector<std::int64_t> order_, test_order_;
  std::vector<StepMetrics> metrics_;
  std::int64_t evaluated_ = 0;  ///< images of the last evaluation
  std::int64_t updates_ = 0;    ///< num_batches_tracked
  bool halted_ = false;         ///< a loss was not finite
};

}  // namespace bntrain::cpu
