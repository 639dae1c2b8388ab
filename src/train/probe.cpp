#include "train/probe.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/state.hpp"
#include "bntrain/error.hpp"

namespace bntrain {
namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

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

Percentiles percentiles(std::vector<float> values) {
  Percentiles result;
  result.fill(not_a_number);
  if (values.empty() || std::ranges::any_of(values, [](float v) { return std::isnan(v); })) return result;
  const auto last = static_cast<std::int64_t>(values.size()) - 1;
  auto unsorted = values.begin();  // everything before it is in its place: percents rise
  for (std::size_t i = 0; i < percents.size(); ++i) {
    // In integers: p / 100 in floating point could fall short of the position that is meant.
    const std::int64_t hundredths = percents[i] * last;
    const auto lower = values.begin() + hundredths / 100;
    std::nth_element(unsorted, lower, values.end());
    unsorted = lower;
    result[i] = *lower;
    if (hundredths % 100 == 0) continue;
    const double upper = *std::min_element(lower + 1, values.end());
    if (upper == result[i]) continue;  // inf - inf would be NaN
    result[i] += (upper - result[i]) * static_cast<double>(hundredths % 100) / 100;
  }
  return result;
}

Probe::Probe(const Network& network, const TrainConfig& config, const Dataset& dataset, Backend& backend)
    : record_(config.record),
      executable_(backend.compile({network, config.batch_norm, config.batch_size, Purpose::inspection})) {
  executable_->bind_training_images(dataset.train);
}

void Probe::set_order(std::span<const std::int64_t> order) {
  executable_->set_order(order);
}

StepRecord Probe::look(std::int64_t step, const ModelState& state, BatchRange range, double gradient_scale) {
  load_state(*executable_, state);
  // Its update is ignored: the next look loads another state.
  executable_->train_step(range, {.update = {}, .gradient_scale = gradient_scale});
  const bool finite = std::isfinite(executable_->drain_metrics().at(0).loss_sum);

  StepRecord record{step, {}, {}};
  for (const PlanOp& op : executable_->plan().ops) {
    if (record_.norms && op.has_norm()) record.norms.push_back(norm_record(op, state, range.count, finite));
    if (record_.activations && op.has_activation()) {
      const std::vector<float> values = input(op, range.count);
      record.activations.push_back({op.name, percentiles(channel_0(values, range.count, op.in.channels)),
                                    percentiles(values),
                                    record_.histograms ? histogram(values) : Histogram()});
    }
  }
  return record;
}

std::vector<float> Probe::input(const PlanOp& op, std::int64_t images) const {
  return executable_->diagnostics().read_value(op.input(), StepPass::forward, images);
}

NormRecord Probe::norm_record(const PlanOp& op, const ModelState& state, std::int64_t images,
                              bool finite) const {
  const Layer& layer = executable_->plan().network.layer(op.first_layer);
  const auto tensor = [&](TensorRole role) -> const std::vector<float>& {
    return state.find(tensor_name(layer, role))->floats();
  };
  const std::vector<float> x = input(op, images);
  const std::int64_t channels = op.in.channels;
  const double n = static_cast<double>(x.size()) / static_cast<double>(channels);
  NormRecord record;
  record.layer = op.name;
  for (std::int64_t c = 0; c < channels; ++c) {
    const auto i = static_cast<std::size_t>(c);
    NormChannel channel;
    for_channel(x, images, channels, c, [&](float v) { channel.batch_mean += v / n; });
    for_channel(x, images, channels, c, [&](float v) {
      channel.batch_var += (v - channel.batch_mean) * (v - channel.batch_mean) / n;
    });
    channel.running_mean = tensor(TensorRole::running_mean)[i];
    channel.running_var = tensor(TensorRole::running_var)[i];
    channel.gamma = tensor(TensorRole::gamma)[i];
    channel.beta = tensor(TensorRole::beta)[i];
    record.channels.push_back(channel);
  }
  record.input = percentiles(x);
  if (record_.histograms) record.histogram = histogram(x);
  record.gradient_norm_output = finite ? gradient_norm(op.output, images) : not_a_number;
  record.gradient_norm_input = finite && op.input() != 0 ? gradient_norm(op.input(), images) : not_a_number;
  return record;
}

double Probe::gradient_norm(int value, std::int64_t images) const {
  double squares = 0;
  for (const float v : executable_->diagnostics().read_value(value, StepPass::backward, images))
    squares += static_cast<double>(v) * v;
  return std::sqrt(squares);
}

}  // namespace bntrain
