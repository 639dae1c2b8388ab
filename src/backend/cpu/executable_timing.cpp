// The training step part by part, each timed.
#include <algorithm>
#include <chrono>
#include <vector>

#include "backend/cpu/executable.hpp"
#include "bntrain/error.hpp"

namespace bntrain::cpu {
namespace {

std::vector<float> copy(const FloatBuffer& buffer) {
  return {buffer.data(), buffer.data() + buffer.size()};
}

}  // namespace

std::vector<StepTiming> CpuExecutable::time_steps(BatchRange range, int repetitions) {
  BNTRAIN_EXPECTS(plan_.training && repetitions > 0);
  std::vector<StepTiming> timings{{"gather", StepPass::forward, "", {}}};
  for (const std::unique_ptr<Op>& op : ops_)
    timings.push_back({op->step().name, StepPass::forward, op->variant(StepPass::forward), {}});
  for (std::size_t i = ops_.size() - 1; i-- > 0;)
    timings.push_back({ops_[i]->step().name, StepPass::backward, ops_[i]->variant(StepPass::backward), {}});
  timings.push_back({"sgd", StepPass::update, "sgd+running+pack", {}});

  // A learning rate of 0 keeps the numbers the same for every repetition, but not their bits: w - 0 * g is
  // NaN for an infinite g and 0 for a w of -0. So what a step writes is put back at the end.
  const std::vector<float> parameters = copy(w_.parameters), gradients = copy(w_.gradients),
                           running = copy(w_.running);
  const std::int64_t updates = updates_;
  using Clock = std::chrono::steady_clock;
  for (int repetition = 0; repetition <= repetitions; ++repetition) {
    auto timing = timings.begin();
    const auto run = [&](const auto& part) {
      const Clock::time_point start = Clock::now();
      part();
      const std::chrono::duration<double> seconds = Clock::now() - start;
      if (repetition > 0) timing->seconds.push_back(seconds.count());
      ++timing;
    };
    Pass pass;
    run([&] {
      pass = begin(dataset_.train, order_, range, every_norm, 1.0 / static_cast<double>(range.count));
    });
    for (const std::unique_ptr<Op>& op : ops_) run([&] { op->forward(pass); });
    for (std::size_t i = ops_.size() - 1; i-- > 0;) run([&] { ops_[i]->backward(pass); });
    run([&] { update({.lr = 0}); });
  }
  std::copy(parameters.begin(), parameters.end(), w_.parameters.data());
  std::copy(gradients.begin(), gradients.end(), w_.gradients.data());
  std::copy(running.begin(), running.end(), w_.running.data());
  updates_ = updates;
  pack();
  return timings;
}

}  // namespace bntrain::cpu
