// The training step part by part, each timed.
#include <chrono>
#include <vector>

#include "backend/cpu/executable.hpp"
#include "bntrain/error.hpp"
#include "plan/cost.hpp"

namespace bntrain::cpu {
std::vector<OpTiming> CpuExecutable::time_ops(BatchRange range, int repetitions) {
  BNTRAIN_EXPECTS(plan_.has_gradients() && repetitions > 0);
  std::vector<OpTiming> timings{{gather_part, StepPass::forward, "", {}}};
  for (const std::unique_ptr<Op>& op : ops_)
    timings.push_back({op->plan_op().name, StepPass::forward, op->variant(StepPass::forward), {}});
  for (std::size_t i = ops_.size() - 1; i-- > 0;)
    timings.push_back(
        {ops_[i]->plan_op().name, StepPass::backward, ops_[i]->variant(StepPass::backward), {}});
  timings.push_back({update_part, StepPass::update, "update+running+pack", {}});

  // A learning rate of 0 keeps the values the same for every repetition, but not their bits: w - 0 * g is NaN
  // for an infinite g and 0 for a w of -0. So what a step writes is put back at the end.
  constexpr StateBuffer written[] = {StateBuffer::parameters, StateBuffer::gradients,
                                     StateBuffer::first_moment, StateBuffer::second_moment,
                                     StateBuffer::running_statistics};
  std::vector<std::vector<float>> kept;
  for (const StateBuffer each : written) kept.push_back(read(each));
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
    run([&] { pass = begin(training_, range, every_norm, 1.0 / static_cast<double>(range.count)); });
    for (const std::unique_ptr<Op>& op : ops_) run([&] { op->forward(pass); });
    for (std::size_t i = ops_.size() - 1; i-- > 0;) run([&] { ops_[i]->backward(pass); });
    run([&] { update({}); });
  }
  for (std::size_t i = 0; i < kept.size(); ++i) write(written[i], kept[i]);
  const bool halted = halted_;
  restart(updates);
  halted_ = halted;
  return timings;
}

}  // namespace bntrain::cpu
