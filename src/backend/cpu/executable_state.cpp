// Moving parameters and running statistics in and out of the executable.
#include <algorithm>

#include "backend/cpu/executable.hpp"
#include "bntrain/error.hpp"

namespace bntrain::cpu {
namespace {

std::vector<float> copy(const float* from, std::int64_t count) {
  return {from, from + count};
}

void copy(const ModelState& state, const std::string& name, std::int64_t count, float* to) {
  const Tensor* tensor = state.find(name);
  BNTRAIN_EXPECTS(tensor != nullptr && tensor->size() == count);
  std::copy_n(tensor->floats().data(), count, to);
}

}  // namespace

ModelState CpuExecutable::save() const {
  ModelState state;
  const Network& network = plan_.network;
  for (const Parameter& p : network.parameters()) {
    state.tensors.push_back({p.name, p.shape, copy(w_.parameters.data() + p.offset, p.size)});
    if (p.role != ParameterRole::beta) continue;
    for (const RunningStatistics& r : network.running()) {
      if (r.layer != p.layer) continue;
      state.tensors.push_back(
          {r.name + ".running_mean", {r.channels}, copy(w_.running.data() + r.mean_offset, r.channels)});
      state.tensors.push_back(
          {r.name + ".running_var", {r.channels}, copy(w_.running.data() + r.var_offset, r.channels)});
      state.tensors.push_back({r.name + ".num_batches_tracked", {}, std::vector<std::int64_t>{updates_}});
    }
  }
  return state;
}

ModelState CpuExecutable::save_gradients() const {
  BNTRAIN_EXPECTS(plan_.training);
  ModelState state;
  for (const Parameter& p : plan_.network.parameters())
    state.tensors.push_back({p.name, p.shape, copy(w_.gradients.data() + p.offset, p.size)});
  return state;
}

void CpuExecutable::load(const ModelState& state) {
  updates_ = 0;
  for (const Parameter& p : plan_.network.parameters())
    copy(state, p.name, p.size, w_.parameters.data() + p.offset);
  for (const RunningStatistics& r : plan_.network.running()) {
    copy(state, r.name + ".running_mean", r.channels, w_.running.data() + r.mean_offset);
    copy(state, r.name + ".running_var", r.channels, w_.running.data() + r.var_offset);
    const Tensor* tracked = state.find(r.name + ".num_batches_tracked");
    if (tracked != nullptr) updates_ = std::get<std::vector<std::int64_t>>(tracked->values).at(0);
  }
  std::fill_n(w_.velocity.data(), w_.velocity.size(), 0.0f);
  halted_ = false;
  pack();
}

}  // namespace bntrain::cpu
