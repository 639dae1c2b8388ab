// Moving parameters, running statistics, gradients and momentum in and out of the executable.
#include <algorithm>

#include "backend/cpu/executable.hpp"
#include "bntrain/error.hpp"
#include "network/state_layout.hpp"

namespace bntrain::cpu {
namespace {

std::vector<float> copy(const float* from, std::int64_t count) {
  return {from, from + count};
}

}  // namespace

std::vector<float> CpuExecutable::read_value(int value, StepPass pass, std::int64_t images) const {
  BNTRAIN_EXPECTS(plan_.every_value && images >= 0 && images <= plan_.batch_size);
  const PlanValue& v = plan_.values.at(static_cast<std::size_t>(value));
  const std::int64_t offset = pass == StepPass::forward ? v.offset : v.gradient_offset;
  BNTRAIN_EXPECTS(offset >= 0);
  const std::int64_t size = v.shape.size();
  const std::int64_t lanes = w_.kernels.lanes;
  std::vector<float> values;
  values.reserve(static_cast<std::size_t>(images * size));
  for (std::int64_t image = 0; image < images; ++image) {
    const float* group = w_.arena.data() + offset * w_.capacity + image / lanes * size * lanes;
    for (std::int64_t i = 0; i < size; ++i) values.push_back(group[i * lanes + image % lanes]);
  }
  return values;
}

ModelState CpuExecutable::save() const {
  ModelState state;
  for (const StateEntry& entry : state_layout(plan_.network)) {
    Tensor tensor{entry.name, entry.shape, {}};
    if (entry.kind == StateKind::batches_tracked) {
      tensor.values = std::vector<std::int64_t>{updates_};
    } else {
      const FloatBuffer& buffer = entry.kind == StateKind::parameter ? w_.parameters : w_.running;
      tensor.values = copy(buffer.data() + entry.offset, entry.size);
    }
    state.tensors.push_back(std::move(tensor));
  }
  return state;
}

ModelState CpuExecutable::copy_of(const FloatBuffer& by_parameter) const {
  BNTRAIN_EXPECTS(plan_.training);
  ModelState state;
  for (const Parameter& p : plan_.network.parameters())
    state.tensors.push_back({p.name, p.shape, copy(by_parameter.data() + p.offset, p.size)});
  return state;
}

ModelState CpuExecutable::save_gradients() const {
  return copy_of(w_.gradients);
}

ModelState CpuExecutable::save_momentum() const {
  return copy_of(w_.velocity);
}

void CpuExecutable::load(const ModelState& state) {
  updates_ = 0;
  for (const StateEntry& entry : state_layout(plan_.network)) {
    const Tensor* tensor = state.find(entry.name);
    BNTRAIN_EXPECTS(tensor != nullptr && tensor->size() == entry.size);
    if (entry.kind == StateKind::batches_tracked) {
      updates_ = std::get<std::vector<std::int64_t>>(tensor->values).at(0);
    } else {
      FloatBuffer& buffer = entry.kind == StateKind::parameter ? w_.parameters : w_.running;
      std::copy_n(tensor->floats().data(), entry.size, buffer.data() + entry.offset);
    }
  }
  std::fill_n(w_.velocity.data(), w_.velocity.size(), 0.0f);
  halted_ = false;
  pack();
}

void CpuExecutable::load_momentum(const ModelState& momentum) {
  BNTRAIN_EXPECTS(plan_.training);
  for (const Parameter& p : plan_.network.parameters()) {
    const Tensor* tensor = momentum.find(p.name);
    BNTRAIN_EXPECTS(tensor != nullptr && tensor->size() == p.size);
    std::copy_n(tensor->floats().data(), p.size, w_.velocity.data() + p.offset);
  }
}

}  // namespace bntrain::cpu
