// Initial values.
#include <cmath>
#include <vector>

#include "bntrain/network.hpp"
#include "core/random.hpp"
#include "network/state_layout.hpp"

namespace bntrain {
namespace {

constexpr double small_deviation = 0.01;  // of the 2017 tutorial

RandomPurpose purpose(TensorRole role) {
  switch (role) {
    case TensorRole::weight:
      return RandomPurpose::weight;
    case TensorRole::bias:
      return RandomPurpose::bias;
    case TensorRole::gamma:
      return RandomPurpose::gamma;
    default:
      return RandomPurpose::beta;
  }
}

std::vector<float> constant(std::int64_t size, float value) {
  return std::vector<float>(static_cast<std::size_t>(size), value);
}

std::vector<float> initial_values(const Parameter& parameter, Init init, std::uint64_t seed, bool last) {
  RandomStream stream(seed, purpose(parameter.role), static_cast<std::uint64_t>(parameter.ordinal));
  std::vector<float> values = constant(parameter.size, 0.0f);
  const auto draw_normal = [&](double deviation) {
    for (float& value : values) value = static_cast<float>(deviation * stream.normal());
    return values;
  };
  const auto draw_uniform = [&](double bound) {
    for (float& value : values) value = static_cast<float>(bound * (2.0 * stream.uniform() - 1.0));
    return values;
  };
  const auto fan_in = static_cast<double>(parameter.fan_in);
  switch (parameter.role) {
    case TensorRole::weight:
      if (init == Init::torch) return draw_uniform(1.0 / std::sqrt(fan_in));
      if (init == Init::xavier)
        return draw_uniform(std::sqrt(6.0 / (fan_in + static_cast<double>(parameter.fan_out))));
      if (init == Init::he) return draw_normal(std::sqrt((last ? 1.0 : 2.0) / fan_in));
      return draw_normal(small_deviation);
    case TensorRole::bias:
      if (init == Init::torch) return draw_uniform(1.0 / std::sqrt(fan_in));
      return values;
    case TensorRole::gamma:
      if (init == Init::tutorial) return draw_normal(small_deviation);
      return constant(parameter.size, 1.0f);
    default:
      if (init == Init::tutorial) return draw_normal(small_deviation);
      return values;
  }
}

}  // namespace

ModelState initial_state(const Network& network, Init init, std::uint64_t seed) {
  ModelState state;
  const int last_layer = static_cast<int>(network.layers().size()) - 1;
  for (const StateEntry& entry : state_layout(network)) {
    Tensor tensor{entry.name, entry.shape, {}};
    switch (entry.role) {
      case TensorRole::running_mean:
        tensor.values = constant(entry.size, 0.0f);
        break;
      case TensorRole::running_var:
        tensor.values = constant(entry.size, init == Init::tutorial ? 0.0f : 1.0f);
        break;
      case TensorRole::batches_tracked:
        tensor.values = std::vector<std::int64_t>{0};
        break;
      default:
        tensor.values = initial_values(*entry.parameter, init, seed, entry.parameter->layer == last_layer);
        break;
    }
    state.tensors.push_back(std::move(tensor));
  }
  return state;
}

}  // namespace bntrain
