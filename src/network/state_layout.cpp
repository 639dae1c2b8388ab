#include "network/state_layout.hpp"

namespace bntrain {

std::vector<StateEntry> state_layout(const Network& network) {
  std::vector<StateEntry> entries;
  auto running = network.running().begin();
  for (const Parameter& parameter : network.parameters()) {
    entries.push_back({StateKind::parameter, parameter.name, parameter.shape, parameter.size,
                       parameter.offset, &parameter});
    if (parameter.role != ParameterRole::beta) continue;
    const std::int64_t channels = running->channels;
    entries.push_back({StateKind::running_mean,
                       running->name + ".running_mean",
                       {channels},
                       channels,
                       running->mean_offset,
                       nullptr});
    entries.push_back({StateKind::running_var,
                       running->name + ".running_var",
                       {channels},
                       channels,
                       running->var_offset,
                       nullptr});
    entries.push_back(
        {StateKind::batches_tracked, running->name + ".num_batches_tracked", {}, 1, 0, nullptr});
    ++running;
  }
  return entries;
}

}  // namespace bntrain
