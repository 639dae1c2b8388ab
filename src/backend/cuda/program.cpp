#include "backend/cuda/program.hpp"

#include "backend/cuda/ops/add.hpp"
#include "backend/cuda/ops/block.hpp"
#include "backend/cuda/ops/conv.hpp"
#include "backend/cuda/ops/linear.hpp"
#include "bntrain/error.hpp"
#include "plan/cost.hpp"

namespace bntrain::cuda {
namespace {

/// Of every op but the loss.
std::vector<std::unique_ptr<Op>> make_ops(Workspace& w, std::int64_t batch) {
  std::vector<std::unique_ptr<Op>> ops;
  for (const PlanOp& op : w.plan.ops) {
    switch (op.kind) {
      case OpKind::conv:
        ops.push_back(std::make_unique<ConvOp>(w, op, batch));
        break;
      case OpKind::linear:
        ops.push_back(std::make_unique<LinearOp>(w, op, batch));
        break;
      case OpKind::block:
        ops.push_back(std::make_unique<BlockOp>(w, op, batch));
        break;
      case OpKind::add:
        ops.push_back(std::make_unique<AddOp>(w, op, batch));
        break;
      case OpKind::loss:
        break;
    }
  }
  return ops;
}

// Scratch memories begin on 256 bytes, like allocations.
std::int64_t rounded(std::int64_t bytes) {
  return (bytes + 255) / 256 * 256;
}

std::int64_t total_scratch(const std::vector<std::unique_ptr<Op>>& ops) {
  std::int64_t bytes = 0;
  for (const auto& op : ops) bytes += rounded(op->scratch_bytes());
  return bytes;
}

}  // namespace

Program::Program(Workspace& workspace, std::int64_t batch)
    : w_(workspace),
      batch_(batch),
      ops_(make_ops(workspace, batch)),
      loss_scratch_(kernels::softmax_cross_entropy_workspace(batch)),
      scratch_(total_scratch(ops_)) {
  BNTRAIN_EXPECTS(batch > 0 && batch <= w_.capacity);
  std::byte* next = scratch_.data();
  for (const auto& op : ops_) {
    op->use_scratch(next);
    next += rounded(op->scratch_bytes());
  }
  for (const auto& op : ops_) op->choose_algorithms();
  w_.libraries.workspace.allocate();
}

void Program::gather(const Feed& feed) {
  const ProfileRange range(gather_part);
  const Shape& image = w_.plan.network.input();
  kernels::PixelScale scale;
  if (w_.pixel_scale.size() > 0)
    scale = {w_.pixel_scale.data(), w_.pixel_scale.data() + image.channels, image.spatial()};
  kernels::gather_images(batch_, image.size(), feed.pixels, feed.order, feed.state, w_.value(0),
                         w_.stream.kernels(), scale);
}

void Program::forward(Mode mode) {
  for (const auto& op : ops_) {
    const ProfileRange range(op->plan_op().name);
    op->forward(mode);
  }
}

void Program::loss(const Feed& feed, Mode mode) {
  const ProfileRange range(w_.plan.ops.back().name);
  const int logits = w_.plan.ops.back().input();
  kernels::LossOutput output = feed.output;
  output.gradient = mode == Mode::training ? w_.gradient(logits) : nullptr;
  kernels::softmax_cross_entropy(batch_, w_.plan.network.classes(), w_.value(logits), feed.labels, feed.order,
                                 feed.state, output, loss_scratch_.data(), w_.arrivals.data(),
                                 w_.stream.kernels());
}

void Program::backward() {
  for (std::size_t i = ops_.size(); i-- > 0;) {
    const ProfileRange range(ops_[i]->plan_op().name + " backward");
    ops_[i]->backward();
  }
}

void Program::update(const UpdateScalars* scalars, const kernels::BatchState* state) {
  const ProfileRange range(update_part);
  // First the running means: they take in the absorbed biases that the forward pass stood for.
  for (const auto& op : ops_) op->update();
  kernels::optimizer_step(w_.plan.update, w_.parameters.size(), w_.plan.decayed_floats, w_.gradients.data(),
                          scalars, state, w_.halted.data(), w_.parameters.data(), moment(0), moment(1),
                          w_.stream.kernels());
}

float* Program::moment(int which) const {
  return w_.moments[which].size() > 0 ? w_.moments[which].data() : nullptr;
}

}  // namespace bntrain::cuda
