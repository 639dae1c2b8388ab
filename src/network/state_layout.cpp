#include "network/state_layout.hpp"

namespace bntrain {

std::vector<StateEntry> state_layout(const Network& network) {
  std::vector<StateEntry> entries;
  auto running = network.running().begin();
  for (const Parameter& parameter : network.parameters()) {
    entries.push_back(
        {parameter.role, parameter.name, parameter.shape, parameter.size, parameter.offset, &parameter});
    if (parameter.role != TensorRole::beta) continue;
    const Layer& layer = network.layer(running->layer);
    const auto add = [&](TensorRole role, std::vector<std::int64_t> shape, std::int64_t size,
                         std::int64_t offset) {
      entries.push_back({role, tensor_name(layer, role), std::move(shape), size, offset, nullptr});
    };
    add(TensorRole::running_mean, {running->channels}, running->channels, running->mean_offset);
    add(TensorRole::running_var, {running->channels}, running->channels, running->var_offset);
    add(TensorRole::batches_tracked, {}, 1, 0);
    ++running;
  }
  return entries;
}

}  // namespace bntrain
