#include "backend/cuda/program.hpp"

#include "backend/cuda/block_step.hpp"
#include "backend/cuda/conv_step.hpp"
#include "backend/cuda/linear_step.hpp"
#include "bntrain/error.hpp"

namespace bntrain::cuda {
namespace {

std::vector<std::unique_ptr<Step>> make_steps(Workspace& w, std::int64_t batch) {
  const std::vector<PlanStep>& plan = w.plan.steps;
  // No flatten lies in between: the norm works on the convolution's channels.
  const auto conv_feeds_norm = [&](std::size_t i) {
    return !w.plan.every_value && plan[i].kind == StepKind::conv && plan[i + 1].kind == StepKind::block &&
           plan[i + 1].norm && plan[i + 1].first_layer == plan[i].last_layer + 1;
  };
  std::vector<std::unique_ptr<Step>> steps;
  for (std::size_t i = 0; i < plan.size(); ++i) {
    switch (plan[i].kind) {
      case StepKind::conv:
        steps.push_back(std::make_unique<ConvStep>(w, plan[i], batch, conv_feeds_norm(i)));
        break;
      case StepKind::linear:
        steps.push_back(std::make_unique<LinearStep>(w, plan[i], batch));
        break;
      case StepKind::block: {
        const float* bias = i > 0 && conv_feeds_norm(i - 1) && plan[i - 1].bias >= 0
                                ? w.parameters.data() + plan[i - 1].bias
                                : nullptr;
        steps.push_back(std::make_unique<BlockStep>(w, plan[i], batch, bias));
        break;
      }
      case StepKind::loss:
        break;
    }
  }
  return steps;
}

// Steps' scratch memories begin on 256 bytes, like allocations.
std::int64_t rounded(std::int64_t bytes) {
  return (bytes + 255) / 256 * 256;
}

std::int64_t total_scratch(const std::vector<std::unique_ptr<Step>>& steps) {
  std::int64_t bytes = 0;
  for (const auto& step : steps) bytes += rounded(step->scratch_bytes());
  return bytes;
}

}  // namespace

Program::Program(Workspace& workspace, std::int64_t batch)
    : w_(workspace),
      batch_(batch),
      steps_(make_steps(workspace, batch)),
      loss_scratch_(kernels::softmax_cross_entropy_workspace(batch)),
      scratch_(total_scratch(steps_)) {
  BNTRAIN_EXPECTS(batch > 0 && batch <= w_.capacity);
  std::byte* next = scratch_.data();
  for (const auto& step : steps_) {
    step->use_scratch(next);
    next += rounded(step->scratch_bytes());
  }
}

void Program::gather(const Feed& feed) {
  kernels::gather_images(batch_, w_.shape(0).size(), feed.pixels, feed.order, feed.state, w_.value(0),
                         w_.stream.kernels());
}

void Program::forward(Mode mode) {
  for (const auto& step : steps_) step->forward(mode);
}

void Program::loss(const Feed& feed, Mode mode) {
  const int logits = w_.plan.steps.back().input;
  kernels::LossOutput output = feed.output;
  output.gradient = mode == Mode::training ? w_.gradient(logits) : nullptr;
  kernels::softmax_cross_entropy(batch_, w_.plan.network.classes(), w_.value(logits), feed.labels, feed.order,
                                 feed.state, output, loss_scratch_.data(), w_.arrivals.data(),
                                 w_.stream.kernels());
}

void Program::backward() {
  for (std::size_t i = steps_.size(); i-- > 0;) steps_[i]->backward();
}

void Program::update(const UpdateScalars* scalars, bool momentum) {
  // First the running means: they take in the convolutions' biases that the forward pass stood for.
  for (const auto& step : steps_) step->update();
  kernels::optimizer_step(momentum ? UpdateRule::sgd_momentum : UpdateRule::sgd, w_.parameters.size(),
                          w_.parameters.size(), w_.gradients.data(), scalars, nullptr, w_.halted.data(),
                          w_.parameters.data(), momentum ? w_.velocity.data() : nullptr, nullptr,
                          w_.stream.kernels());
}

}  // namespace bntrain::cuda
