// The parts of a training step for one batch size, launch by launch.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "backend/cuda/ops/op.hpp"

namespace bntrain::cuda {

/// Where batches come from and where their metrics go: device memory.
struct Feed {
  const std::uint8_t* pixels = nullptr;
  const std::uint8_t* labels = nullptr;
  const std::int64_t* order = nullptr;  ///< null: the images' own order
  kernels::BatchState* state = nullptr;
  kernels::LossOutput output{};  ///< its gradient is ignored
};

class Program {
 public:
  Program(Workspace& workspace, std::int64_t batch);

  // Each part wants the one before it.
  void gather(const Feed& feed);
  void forward(Mode mode);
  /// Metrics; in training also the gradient of the logits. Moves feed.state on to the next batch.
  void loss(const Feed& feed, Mode mode);
  void backward();
  /// Parameters and running statistics, unless halted.
  void update(const UpdateScalars* scalars, const kernels::BatchState* state);

  std::int64_t batch() const { return batch_; }
  /// All ops of the plan but the loss.
  const std::vector<std::unique_ptr<Op>>& ops() const { return ops_; }

 private:
  /// Null where the rule keeps none.
  float* moment(int which) const;

  Workspace& w_;
  std::int64_t batch_;
  std::vector<std::unique_ptr<Op>> ops_;
  DeviceArray<std::byte> loss_scratch_, scratch_;
};

}  // namespace bntrain::cuda
