// Moving parameters and running statistics in and out of the device.
#include "backend/cuda/executable.hpp"
#include "bntrain/error.hpp"
#include "network/state_layout.hpp"

namespace bntrain::cuda {

std::vector<float> CudaExecutable::read(const float* values, std::int64_t count) const {
  std::vector<float> copy(static_cast<std::size_t>(count));
  w_.stream.download(copy.data(), values, count * static_cast<std::int64_t>(sizeof(float)));
  return copy;
}

std::vector<float> CudaExecutable::read_value(int value, StepPass pass, std::int64_t images) const {
  BNTRAIN_EXPECTS(plan_.every_value && images >= 0 && images <= plan_.batch_size);
  const PlanValue& v = plan_.values.at(static_cast<std::size_t>(value));
  const std::int64_t offset = pass == StepPass::forward ? v.offset : v.gradient_offset;
  BNTRAIN_EXPECTS(offset >= 0);
  return read(w_.arena.data() + offset * w_.capacity, images * v.shape.size());
}

ModelState CudaExecutable::save() const {
  const std::vector<float> parameters = read(w_.parameters.data(), w_.parameters.size());
  const std::vector<float> running = read(w_.running.data(), w_.running.size());
  std::int64_t updates = 0;
  w_.stream.download(&updates, updates_.data(), updates_.bytes());
  ModelState state;
  for (const StateEntry& entry : state_layout(plan_.network)) {
    Tensor tensor{entry.name, entry.shape, {}};
    if (entry.kind == StateKind::batches_tracked) {
      tensor.values = std::vector<std::int64_t>{updates};
    } else {
      const auto from = (entry.kind == StateKind::parameter ? parameters : running).begin() + entry.offset;
      tensor.values = std::vector<float>(from, from + entry.size);
    }
    state.tensors.push_back(std::move(tensor));
  }
  return state;
}

ModelState CudaExecutable::save_like_parameters(const DeviceArray<float>& buffer) const {
  BNTRAIN_EXPECTS(plan_.training);
  const std::vector<float> values = read(buffer.data(), buffer.size());
  ModelState state;
  for (const Parameter& p : plan_.network.parameters()) {
    const auto from = values.begin() + p.offset;
    state.tensors.push_back({p.name, p.shape, std::vector<float>(from, from + p.size)});
  }
  return state;
}

ModelState CudaExecutable::save_gradients() const {
  return save_like_parameters(w_.gradients);
}

ModelState CudaExecutable::save_momentum() const {
  return save_like_parameters(w_.velocity);
}

void CudaExecutable::load_momentum(const ModelState& momentum) {
  BNTRAIN_EXPECTS(plan_.training);
  for (const Parameter& p : plan_.network.parameters()) {
    const Tensor* tensor = momentum.find(p.name);
    BNTRAIN_EXPECTS(tensor != nullptr && tensor->size() == p.size);
    w_.stream.upload(w_.velocity.data() + p.offset, tensor->floats().data(),
                     p.size * static_cast<std::int64_t>(sizeof(float)));
  }
}

void CudaExecutable::load(const ModelState& state) {
  std::int64_t updates = 0;
  for (const StateEntry& entry : state_layout(plan_.network)) {
    const Tensor* tensor = state.find(entry.name);
    BNTRAIN_EXPECTS(tensor != nullptr && tensor->size() == entry.size);
    if (entry.kind == StateKind::batches_tracked) {
      updates = std::get<std::vector<std::int64_t>>(tensor->values).at(0);
    } else {
      const DeviceArray<float>& buffer = entry.kind == StateKind::parameter ? w_.parameters : w_.running;
      w_.stream.upload(buffer.data() + entry.offset, tensor->floats().data(),
                       entry.size * static_cast<std::int64_t>(sizeof(float)));
    }
  }
  w_.stream.upload(updates_.data(), &updates, updates_.bytes());
  w_.stream.zero(w_.velocity.data(), w_.velocity.bytes());
  w_.stream.zero(w_.halted.data(), w_.halted.bytes());
}

}  // namespace bntrain::cuda
