#include "backend/cuda/ops/op.hpp"

namespace bntrain::cuda {
namespace {

constexpr std::int64_t kCapacityUnit = 16;

std::int64_t capacity_of(const Plan& plan) {
  return (plan.batch_size + kCapacityUnit - 1) / kCapacityUnit * kCapacityUnit;
}

std::int64_t trained_floats(const Plan& plan) {
  return plan.has_gradients() ? plan.network.parameter_floats() : 0;
}

std::int64_t moment_floats(const Plan& plan, int which) {
  return state_count(plan.update) > which ? trained_floats(plan) : 0;
}

}  // namespace

Workspace::Workspace(const Plan& the_plan, Precision precision)
    : plan(the_plan),
      libraries(stream, precision),
      capacity(capacity_of(the_plan)),
      arena(the_plan.arena_floats_per_image * capacity),
      parameters(the_plan.network.parameter_floats()),
      gradients(trained_floats(the_plan)),
      moments{DeviceArray<float>(moment_floats(the_plan, 0)), DeviceArray<float>(moment_floats(the_plan, 1))},
      running(the_plan.network.running_floats()),
      mean(2 * the_plan.network.running_floats()),
      var(the_plan.network.running_floats()),
      inv_std(the_plan.network.running_floats()),
      pixel_scale(2 * static_cast<std::int64_t>(the_plan.network.normalization().mean.size())),
      halted(1),
      arrivals(1) {
  // Between the tensors of a flat buffer lie gaps that nobody writes and the update runs over.
  for (const DeviceArray<float>* buffer : {&parameters, &gradients, &moments[0], &moments[1], &running})
    stream.zero(buffer->data(), buffer->bytes());
  const Normalization& normalization = the_plan.network.normalization();
  std::vector<float> scale(normalization.mean.begin(), normalization.mean.end());
  scale.insert(scale.end(), normalization.std.begin(), normalization.std.end());
  if (!scale.empty()) stream.upload(pixel_scale.data(), scale.data(), pixel_scale.bytes());
  stream.zero(halted.data(), halted.bytes());
  stream.zero(arrivals.data(), arrivals.bytes());
}

std::int64_t Workspace::bytes(const Plan& plan) {
  const std::int64_t floats = plan.arena_floats_per_image * capacity_of(plan) +
                              plan.network.parameter_floats() + trained_floats(plan) +
                              moment_floats(plan, 0) + moment_floats(plan, 1) +
                              5 * plan.network.running_floats();
  return floats * static_cast<std::int64_t>(sizeof(float));
}

Op::Op(Workspace& workspace, const PlanOp& op, std::int64_t batch)
    : w_(workspace),
      op_(op),
      batch_(batch),
      added_(op.input_gradients.front() == InputGradient::add && op.kind != OpKind::add ? batch * op.in.size()
                                                                                        : 0) {}

void Op::backward() {
  compute_gradients();
  if (added_.size() == 0) return;
  float* gradient = w_.gradient(op_.input());
  kernels::add(added_.size(), gradient, added_.data(), gradient, stream());
}

float* Op::input_gradient() const {
  if (op_.input_gradients.front() == InputGradient::none) return nullptr;
  return added_.size() > 0 ? added_.data() : w_.gradient(op_.input());
}

}  // namespace bntrain::cuda
