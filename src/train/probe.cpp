#include "bntrain/probe.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "bntrain/error.hpp"

namespace bntrain {
namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

bool is_activation(LayerKind kind) {
  return kind == LayerKind::relu || kind == LayerKind::sigmoid;
}

Plan plan_of_every_value(const Network& network, const TrainConfig& config, const Backend& backend) {
  PlanOptions options = backend.plan_options();
  options.every_value = true;
  return make_plan(network, config.batch_norm, config.batch_size, options);
}

/// Visits the values of one channel of (images, channels, positions).
template <typename Visit>
void for_channel(const std::vector<float>& values, std::int64_t images, std::int64_t channels,
                 std::int64_t channel, Visit visit) {
  const std::int64_t positions = static_cast<std::int64_t>(values.size()) / (images * channels);
  for (std::int64_t image = 0; image < images; ++image) {
    const auto first = values.begin() + (image * channels + channel) * positions;
    std::for_each(first, first + positions, visit);
  }
}

std::vector<float> channel_0(const std::vector<float>& values, std::int64_t images, std::int64_t channels) {
  std::vector<float> result;
  for_channel(values, images, channels, 0, [&](float v) { result.push_back(v); });
  return result;
}

}  // namespace

Probe::Probe(const Network& network, const TrainConfig& config, const Dataset& dataset, Backend& backend)
    : record_(config.record),
      plan_(plan_of_every_value(network, config, backend)),
      executable_(backend.compile(plan_, dataset)) {}

StepRecord Probe::look(std::int64_t step, const ModelState& state, BatchRange range, double gradient_scale) {
  executable_->load(state);
  // Its update is of no matter: the next look loads another state.
  executable_->train_step(range, {.lr = 0, .gradient_scale = gradient_scale});
  const bool finite = std::isfinite(executable_->drain_metrics().at(0).loss_sum);

  StepRecord record{step, {}, {}};
  for (const PlanStep& s : plan_.steps) {
    if (s.kind == StepKind::loss) continue;
    const Layer& layer = plan_.network.layers()[static_cast<std::size_t>(s.first_layer)];
    if (record_.norms && layer.kind == LayerKind::batch_norm) {
      record.norms.push_back(norm_record(s, state, range.count, finite));
    }
    if (record_.activations && is_activation(layer.kind)) {
      const std::vector<float> values = input(s, range.count);
      record.activations.push_back(
          {s.name, percentiles(channel_0(values, range.count, layer.input.channels)), percentiles(values)});
    }
  }
  return record;
}

std::vector<float> Probe::input(const PlanStep& step, std::int64_t images) const {
  return executable_->read_value(step.input, StepPass::forward, images);
}

NormRecord Probe::norm_record(const PlanStep& step, const ModelState& state, std::int64_t images,
                              bool finite) const {
  const auto tensor = [&](const char* name) -> const std::vector<float>& {
    return state.find(std::to_string(step.first_layer) + "." + name)->floats();
  };
  const std::vector<float> x = input(step, images);
  const std::int64_t channels =
      plan_.network.layers()[static_cast<std::size_t>(step.first_layer)].input.channels;
  const double n = static_cast<double>(x.size()) / static_cast<double>(channels);
  NormRecord record;
  record.layer = step.name;
  for (std::int64_t c = 0; c < channels; ++c) {
    const auto i = static_cast<std::size_t>(c);
    NormChannel channel;
    for_channel(x, images, channels, c, [&](float v) { channel.batch_mean += v / n; });
    for_channel(x, images, channels, c, [&](float v) {
      channel.batch_var += (v - channel.batch_mean) * (v - channel.batch_mean) / n;
    });
    channel.running_mean = tensor("running_mean")[i];
    channel.running_var = tensor("running_var")[i];
    channel.gamma = tensor("weight")[i];
    channel.beta = tensor("bias")[i];
    record.channels.push_back(channel);
  }
  record.input = percentiles(x);
  record.gradient_norm_output = finite ? gradient_norm(step.output, images) : not_a_number;
  record.gradient_norm_input = finite && step.input != 0 ? gradient_norm(step.input, images) : not_a_number;
  return record;
}

double Probe::gradient_norm(int value, std::int64_t images) const {
  double squares = 0;
  for (const float v : executable_->read_value(value, StepPass::backward, images))
    squares += static_cast<double>(v) * v;
  return std::sqrt(squares);
}

}  // namespace bntrain
