#include "backend/state.hpp"

#include <algorithm>

#include "bntrain/error.hpp"
#include "network/state_layout.hpp"

namespace bntrain {
namespace {

constexpr StateBuffer kMoments[] = {StateBuffer::first_moment, StateBuffer::second_moment};

std::vector<float> part(const std::vector<float>& values, std::int64_t offset, std::int64_t size) {
  return {values.begin() + offset, values.begin() + offset + size};
}

void put(std::vector<float>& values, std::int64_t offset, std::int64_t size, const Tensor* tensor) {
  BNTRAIN_EXPECTS(tensor != nullptr && tensor->size() == size);
  std::ranges::copy(tensor->floats(), values.begin() + offset);
}

/// One tensor a parameter.
ModelState tensors_of(const Network& network, const std::vector<float>& values) {
  ModelState state;
  for (const Parameter& p : network.parameters())
    state.tensors.push_back({p.name, p.shape, part(values, p.offset, p.size)});
  return state;
}

std::vector<float> zeros(std::int64_t size) {
  return std::vector<float>(static_cast<std::size_t>(size));
}

std::span<const std::string_view> state_names(const Plan& plan) {
  const std::span<const std::string_view> names = optimizer_state_names(plan.update);
  return plan.has_gradients() ? names : names.first(0);
}

}  // namespace

ModelState save_state(const Executable& executable) {
  const Network& network = executable.plan().network;
  const std::vector<float> parameters = executable.read(StateBuffer::parameters);
  const std::vector<float> running = executable.read(StateBuffer::running_statistics);
  const std::int64_t updates = executable.updates();
  ModelState state;
  for (const StateEntry& entry : state_layout(network)) {
    Tensor tensor{entry.name, entry.shape, {}};
    if (entry.role == TensorRole::batches_tracked)
      tensor.values = std::vector<std::int64_t>{updates};
    else
      tensor.values = part(entry.parameter != nullptr ? parameters : running, entry.offset, entry.size);
    state.tensors.push_back(std::move(tensor));
  }
  return state;
}

ModelState save_gradients(const Executable& executable) {
  return tensors_of(executable.plan().network, executable.read(StateBuffer::gradients));
}

std::vector<OptimizerState> save_optimizer(const Executable& executable) {
  std::vector<OptimizerState> state;
  for (const std::string_view name : state_names(executable.plan())) {
    const std::vector<float> values = executable.read(kMoments[state.size()]);
    state.push_back({std::string(name), tensors_of(executable.plan().network, values)});
  }
  return state;
}

void load_state(Executable& executable, const ModelState& state) {
  const Plan& plan = executable.plan();
  std::vector<float> parameters = zeros(plan.network.parameter_floats());
  std::vector<float> running = zeros(plan.network.running_floats());
  std::int64_t updates = 0;
  for (const StateEntry& entry : state_layout(plan.network)) {
    const Tensor* tensor = state.find(entry.name);
    BNTRAIN_EXPECTS(tensor != nullptr);
    if (entry.role == TensorRole::batches_tracked)
      updates = std::get<std::vector<std::int64_t>>(tensor->values).at(0);
    else
      put(entry.parameter != nullptr ? parameters : running, entry.offset, entry.size, tensor);
  }
  executable.write(StateBuffer::parameters, parameters);
  executable.write(StateBuffer::running_statistics, running);
  for (std::size_t i = 0; i < state_names(plan).size(); ++i)
    executable.write(kMoments[i], zeros(plan.network.parameter_floats()));
  executable.restart(updates);
}

void load_optimizer(Executable& executable, const std::vector<OptimizerState>& state) {
  BNTRAIN_EXPECTS(fits_optimizer(executable, state));
  const Plan& plan = executable.plan();
  const auto names = state_names(plan);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto found = std::ranges::find(state, names[i], &OptimizerState::name);
    std::vector<float> values = zeros(plan.network.parameter_floats());
    for (const Parameter& p : plan.network.parameters())
      put(values, p.offset, p.size, found->state.find(p.name));
    executable.write(kMoments[i], values);
  }
}

bool fits_optimizer(const Executable& executable, const std::vector<OptimizerState>& state) {
  const std::vector<Parameter>& parameters = executable.plan().network.parameters();
  return std::ranges::all_of(state_names(executable.plan()), [&](std::string_view name) {
    const auto found = std::ranges::find(state, name, &OptimizerState::name);
    return found != state.end() && std::ranges::all_of(parameters, [&](const Parameter& parameter) {
             const Tensor* tensor = found->state.find(parameter.name);
             return tensor != nullptr && tensor->shape == parameter.shape;
           });
  });
}

}  // namespace bntrain
