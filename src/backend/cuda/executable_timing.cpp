// The training step part by part, each timed.
#include <functional>
#include <utility>

#include "backend/cuda/executable.hpp"
#include "bntrain/error.hpp"

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

std::vector<StepTiming> CudaExecutable::time_steps(BatchRange range, int repetitions) {
  BNTRAIN_EXPECTS(plan_.training && repetitions > 0);
  drained_ = drain_metrics();  // the metrics of these steps take the first slot, and are dropped
  const kernels::BatchState start =
      begin(range, order_count_, static_cast<float>(1.0 / static_cast<double>(range.count)));
  Program& program = compiled(range.count).program;
  // Neither halts nor counts: see Executable::time_steps().
  const Feed from = feed(train_, order_.data());
  const UpdateScalars scalars;
  expected_scalars_.reset();
  w_.stream.upload(scalars_.data(), &scalars, scalars_.bytes());
  Keeper kept[] = {{w_.stream, w_.parameters}, {w_.stream, w_.gradients}, {w_.stream, w_.running}};

  std::vector<StepTiming> timings;
  std::vector<std::function<void()>> parts;
  const auto add = [&](const std::string& name, StepPass pass, const std::string& variant,
                       std::function<void()> part) {
    timings.push_back({name, pass, variant, {}});
    parts.push_back(std::move(part));
  };
  const auto& steps = program.steps();
  add("gather", StepPass::forward, "", [&] { program.gather(from); });
  for (const auto& step : steps)
    add(step->step().name, StepPass::forward, step->variant(StepPass::forward),
        [&] { step->forward(Mode::training); });
  add(plan_.steps.back().name, StepPass::forward, "", [&] { program.loss(from, Mode::training); });
  for (std::size_t i = steps.size(); i-- > 0;)
    add(steps[i]->step().name, StepPass::backward, steps[i]->variant(StepPass::backward),
        [&, i] { steps[i]->backward(); });
  add("sgd", StepPass::update, "sgd+running", [&] { program.update(scalars_.data(), false); });

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
