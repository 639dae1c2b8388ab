// The parts of a training step for one batch size, launch by launch.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "backend/cuda/step.hpp"

namespace bntrain::cuda {

/// Where batches come from and where their metrics go: device memory.
struct Feed {
  const std::uint8_t* pixels = nullptr;
  const std::uint8_t* labels = nullptr;
  const std::int64_t* order = nullptr;  ///< null: the images' own order
  kernels::BatchState* state = nullptr;
  kernels::LossOutput output{};  ///< its gradient is of no matter
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
  void update(const UpdateScalars* scalars, bool momentum);

  std::int64_t batch() const { return batch_; }
  /// All steps of the plan but the loss.
  const std::vector<std::unique_ptr<Step>>& steps() const { return steps_; }

 private:
  Workspace& w_;
  std::int64_t batch_;
  std::vector<std::unique_ptr<Step>> steps_;
  DeviceArray<std::byte> loss_scratch_, scratch_;
};

}  // namespace bntrain::cuda
