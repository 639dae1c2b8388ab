// The compiled training step on a GPU: a batch size that comes again is captured and replayed as one graph.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/cuda/program.hpp"
#include "bntrain/backend.hpp"

namespace bntrain::cuda {

class CudaExecutable final : public Executable {
 public:
  /// The data set goes to the device here, as bytes.
  CudaExecutable(const Plan& plan, const Dataset& dataset, Precision precision);

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
  void load(const ModelState& state) override;
  ModelState save_momentum() const override;
  void load_momentum(const ModelState& momentum) override;
  std::string variant() const override;

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
    Routine training, training_with_momentum, evaluation;
  };

  Compiled& compiled(std::int64_t batch);
  /// What the device holds when the step begins. Only finish() says what it holds afterwards.
  kernels::BatchState begin(BatchRange range, std::int64_t images, float gradient_scale);
  void run(Routine& routine, const std::function<void()>& enqueue);
  void finish(kernels::BatchState begun, BatchRange range);
  Feed feed(const Images& images, const std::int64_t* order) const;
  BatchStatistics read_statistics(const Step& step) const;
  bool finite(const float* values, std::int64_t count) const;
  /// The parameters' part of a buffer that is laid out like them.
  ModelState save_like_parameters(const DeviceArray<float>& buffer) const;
  std::vector<float> read(const float* values, std::int64_t count) const;

  const Plan plan_;
  const Precision precision_;
  mutable Workspace w_;  ///< reading from the device is an action of its stream
  Images train_, test_;
  DeviceArray<std::int64_t> order_;
  std::int64_t order_count_;
  DeviceArray<kernels::BatchState> state_;
  DeviceArray<UpdateScalars> scalars_;
  DeviceArray<kernels::BatchMetrics> metrics_;
  DeviceArray<std::int64_t> updates_;          ///< one number, num_batches_tracked
  std::map<std::int64_t, Compiled> programs_;  ///< by batch size

  // What the device holds once everything is done that was enqueued; empty where that is not known.
  std::optional<kernels::BatchState> expected_state_;
  std::optional<UpdateScalars> expected_scalars_;
  std::int64_t undrained_ = 0;
  std::int64_t evaluated_ = 0;  ///< images of the last evaluation
  std::vector<StepMetrics> drained_;
};

}  // namespace bntrain::cuda
