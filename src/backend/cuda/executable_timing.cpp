// The training step part by part, each timed.
#include <functional>
#include <utility>

#include "backend/cuda/executable.hpp"
#include "bntrain/error.hpp"
#include "plan/cost.hpp"

namespace bntrain::cuda {
namespace {

/// Puts back what device memory held.
class Keeper {
 public:
  Keeper(DeviceStream& stream, const DeviceArray<float>& array)
      : stream_(stream), array_(array), values_(static_cast<std::size_t>(array.size())) {
    stream_.download(values_.data(), array_.data(), array_.bytes());
  }
  void put_back() { stream_.upload(array_.data(), values_.data(), array_.bytes()); }

 private:
  DeviceStream& stream_;
  const DeviceArray<float>& array_;
  std::vector<float> values_;
};

}  // namespace

std::vector<OpTiming> CudaExecutable::time_ops(BatchRange range, int repetitions) {
  BNTRAIN_EXPECTS(plan_.has_gradients() && repetitions > 0);
  drained_ = drain_metrics();  // the metrics of these steps take the first slot, and are dropped
  const kernels::BatchState start =
      begin(range, order_count_, static_cast<float>(1.0 / static_cast<double>(range.count)));
  Program& program = compiled(range.count).program;
  // Neither halts nor counts: see Diagnostics::time_ops().
  const Feed from = feed(training_, order_->data());
  const UpdateScalars no_update;
  upload_scalars(start.step, {&no_update, 1});
  Keeper kept[] = {{w_.stream, w_.parameters},
                   {w_.stream, w_.gradients},
                   {w_.stream, w_.moments[0]},
                   {w_.stream, w_.moments[1]},
                   {w_.stream, w_.running}};

  std::vector<OpTiming> timings;
  std::vector<std::function<void()>> parts;
  const auto add = [&](const std::string& name, StepPass pass, const std::string& variant,
                       std::function<void()> part) {
    timings.push_back({name, pass, variant, {}});
    parts.push_back(std::move(part));
  };
  const auto& ops = program.ops();
  add(gather_part, StepPass::forward, "", [&] { program.gather(from); });
  for (const auto& op : ops)
    add(op->plan_op().name, StepPass::forward, op->variant(StepPass::forward),
        [&] { op->forward(Mode::training); });
  add(plan_.ops.back().name, StepPass::forward, "", [&] { program.loss(from, Mode::training); });
  for (std::size_t i = ops.size(); i-- > 0;)
    add(ops[i]->plan_op().name, StepPass::backward, ops[i]->variant(StepPass::backward),
        [&, i] { ops[i]->backward(); });
  add(update_part, StepPass::update, "update+running",
      [&] { program.update(scalars_.data(), state_.data()); });

  for (const auto& part : parts) part();  // what the libraries load lazily they must not load in a capture
  // In one graph, as in training: launched one by one, short kernels would be timed at the speed of the host.
  std::vector<Event> events(parts.size() + 1);
  const Graph graph = w_.stream.capture([&] {
    w_.stream.record(events[0]);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      parts[i]();
      w_.stream.record(events[i + 1]);
    }
  });
  for (int repetition = 0; repetition < repetitions; ++repetition) {
    w_.stream.upload(state_.data(), &start, state_.bytes());
    w_.stream.launch(graph);
    w_.stream.synchronize();
    for (std::size_t i = 0; i < parts.size(); ++i)
      timings[i].seconds.push_back(events[i + 1].seconds_since(events[i]));
  }
  for (Keeper& each : kept) each.put_back();
  return timings;
}

}  // namespace bntrain::cuda
