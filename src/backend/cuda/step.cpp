#include "backend/cuda/step.hpp"

namespace bntrain::cuda {
namespace {

constexpr std::int64_t kCapacityUnit = 16;

std::int64_t trained_floats(const Plan& plan) {
  return plan.training ? plan.network.parameter_floats() : 0;
}

}  // namespace

Workspace::Workspace(const Plan& the_plan, Precision precision)
    : plan(the_plan),
      libraries(stream, precision),
      capacity((the_plan.batch_size + kCapacityUnit - 1) / kCapacityUnit * kCapacityUnit),
      arena(the_plan.arena_floats_per_image * capacity),
      parameters(the_plan.network.parameter_floats()),
      gradients(trained_floats(the_plan)),
      velocity(trained_floats(the_plan)),
      running(the_plan.network.running_floats()),
      statistics(the_plan.network.running_floats()),
      invstd(the_plan.network.running_floats()),
      halted(1),
      arrivals(1) {
  // Between the tensors of a flat buffer lie gaps that nobody writes and SGD runs over.
  for (const DeviceArray<float>* buffer : {&parameters, &gradients, &velocity, &running})
    stream.zero(buffer->data(), buffer->bytes());
  stream.zero(halted.data(), halted.bytes());
  stream.zero(arrivals.data(), arrivals.bytes());
}

}  // namespace bntrain::cuda
