// Where the values lie.
#include "plan/plan.hpp"

#include <algorithm>
#include <numeric>

#include "bntrain/error.hpp"
#include "plan/fuse.hpp"

namespace bntrain {
namespace {

/// The lifetimes of values and gradients. Op i of n runs forward at moment i and backward at moment 2n - 1 -
/// i.
class Lifetimes {
 public:
  explicit Lifetimes(const Plan& plan)
      : plan_(plan),
        last_moment_(2 * static_cast<int>(plan.ops.size()) - 1),
        values_(plan.values.size(), {last_moment_ + 1, -1}),
        gradients_(values_),
        gradient_of_(plan.values.size()) {
    std::iota(gradient_of_.begin(), gradient_of_.end(), 0);
  }

  void find() {
    share_gradients();
    for (int i = 0; i < static_cast<int>(plan_.ops.size()); ++i) {
      const PlanOp& op = plan_.op(i);
      for (const int input : op.inputs) use(values_, input, i);
      use(values_, op.output, i);
      if (plan_.has_gradients()) find_backward(op, last_moment_ - i);
    }
    for (const PlanOp& op : plan_.ops)
      if (op.gradient_rebuilt) gradients_[at(op.output)].last = -1;
    if (plan_.purpose == Purpose::inspection) make_permanent();
  }

  void place(Plan& plan) const {
    std::vector<BufferRequest> requests;
    std::vector<std::int64_t*> targets;
    for (std::size_t v = 0; v < plan.values.size(); ++v) {
      requests.push_back({plan.values[v].shape.size(), values_[v].first, values_[v].last});
      targets.push_back(&plan.values[v].offset);
    }
    for (std::size_t v = 0; v < plan.values.size(); ++v) {
      if (gradient_of_[v] != static_cast<int>(v) || gradients_[v].last < 0) continue;
      requests.push_back({plan.values[v].shape.size(), gradients_[v].first, gradients_[v].last});
      targets.push_back(&plan.values[v].gradient_offset);
    }
    const std::vector<std::int64_t> offsets = plan_arena(requests, plan.arena_floats_per_image);
    for (std::size_t i = 0; i < offsets.size(); ++i) *targets[i] = offsets[i];
    for (std::size_t v = plan.values.size(); v-- > 0;)
      if (gradient_of_[v] != static_cast<int>(v))
        plan.values[v].gradient_offset = plan.values[at(gradient_of_[v])].gradient_offset;
  }

 private:
  struct Lifetime {
    int first, last;
  };

  static std::size_t at(int number) { return static_cast<std::size_t>(number); }

  static void use(std::vector<Lifetime>& lifetimes, int value, int moment) {
    Lifetime& lifetime = lifetimes[at(value)];
    lifetime.first = std::min(lifetime.first, moment);
    lifetime.last = std::max(lifetime.last, moment);
  }

  /// Later values first, so that chains of sums end at the last one.
  void share_gradients() {
    for (std::size_t i = plan_.ops.size(); i-- > 0;) {
      const PlanOp& op = plan_.ops[i];
      for (std::size_t k = 0; k < op.inputs.size(); ++k)
        if (op.input_gradients[k] == InputGradient::shared)
          gradient_of_[at(op.inputs[k])] = gradient_of_[at(op.output)];
    }
  }

  void find_backward(const PlanOp& op, int moment) {
    const auto use_gradient = [&](int value) { use(gradients_, gradient_of_[at(value)], moment); };
    if (op.kind != OpKind::add) use(values_, op.input(), moment);
    // The gradient of an activation and the argmax of a window are found again from the output.
    if (op.kind == OpKind::block || op.has_activation()) use(values_, op.output, moment);
    for (std::size_t k = 0; k < op.inputs.size(); ++k)
      if (op.input_gradients[k] != InputGradient::none) use_gradient(op.inputs[k]);
    use_gradient(op.output);
    if (!op.gradient_rebuilt) return;
    use(values_, op.output, moment);
    use(values_, plan_.op(op.block_after).output, moment);
    use_gradient(plan_.op(op.block_after).output);
  }

  void make_permanent() {
    for (std::vector<Lifetime>* lifetimes : {&values_, &gradients_})
      for (Lifetime& lifetime : *lifetimes)
        if (lifetime.last >= 0) lifetime = {0, last_moment_};
  }

  const Plan& plan_;
  const int last_moment_;
  std::vector<Lifetime> values_, gradients_;
  std::vector<int> gradient_of_;  ///< the value whose gradient has the memory
};

}  // namespace

Plan make_plan(const PlanRequest& request, const FusionRules& rules) {
  BNTRAIN_EXPECTS(request.batch_size > 0);
  Plan plan;
  plan.network = request.network;
  plan.batch_norm = request.batch_norm;
  plan.batch_size = request.batch_size;
  plan.purpose = request.purpose;
  plan.update = request.update;
  plan.decayed_floats =
      request.decay_weights_only ? plan.network.weight_floats() : plan.network.parameter_floats();
  fuse(plan, rules);
  Lifetimes lifetimes(plan);
  lifetimes.find();
  lifetimes.place(plan);
  return plan;
}

}  // namespace bntrain
