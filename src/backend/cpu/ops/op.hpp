// One op of the plan, compiled for the CPU. The ops of a plan share one workspace.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "backend/cpu/kernels.hpp"
#include "backend/cpu/memory.hpp"
#include "backend/cpu/parameter_layout.hpp"
#include "backend/cpu/thread_team.hpp"
#include "bntrain/backend.hpp"
#include "bntrain/tensor.hpp"
#include "plan/plan.hpp"

namespace bntrain::cpu {

/// The memory and the threads that every op of an executable works with.
struct Workspace {
  const Plan& plan;
  const Kernels& kernels;
  ConvMethod conv;
  ThreadTeam& team;
  ParameterLayout layout;  ///< of `parameters`, `gradients` and `moments`
  std::int64_t capacity;   ///< images the arena has room for, a multiple of the lanes
  std::vector<std::pair<FloatBuffer*, std::int64_t>> reserved{};
  FloatBuffer arena{};
  FloatBuffer parameters{}, gradients{}, running{};
  FloatBuffer moments[2]{};  ///< what the optimiser keeps; empty where its rule keeps less

  /// `buffer`, which stays where it is, will have `size` floats once allocate() is called: what all need
  /// together is known before any is taken.
  void reserve(FloatBuffer& buffer, std::int64_t size) { reserved.emplace_back(&buffer, size); }
  std::int64_t reserved_bytes() const;
  void allocate();

  std::int64_t groups() const { return capacity / kernels.lanes; }
  /// The activation (gradient) of a value for one group.
  float* value(int number, std::int64_t group) {
    const PlanValue& v = plan.value(number);
    return arena.data() + v.offset * capacity + group * v.shape.size() * kernels.lanes;
  }
  float* gradient(int number, std::int64_t group) {
    const PlanValue& v = plan.value(number);
    return arena.data() + v.gradient_offset * capacity + group * v.shape.size() * kernels.lanes;
  }
};

// For Pass::by_batch_from.
inline constexpr int every_norm = 0;
inline constexpr int no_norm = std::numeric_limits<int>::max();

/// One batch on its way through the ops.
struct Pass {
  const ImageSet* images = nullptr;
  const std::int64_t* indices = nullptr;  ///< [count] into `images`
  std::int64_t count = 0;
  std::int64_t groups = 0;
  int lanes = 0;
  int by_batch_from = 0;  ///< batch norms from this layer on use batch statistics, those before running ones
  float gradient_scale = 0;

  int valid(std::int64_t group) const {
    const std::int64_t left = count - group * lanes;
    return left < lanes ? static_cast<int>(left) : lanes;
  }
};

class Op {
 public:
  Op(Workspace& workspace, const PlanOp& op) : w_(workspace), op_(op) {
    if (op.input_gradients.front() == InputGradient::add)
      w_.reserve(added_, w_.team.size() * op.in.size() * w_.kernels.lanes);
  }
  virtual ~Op() = default;
  Op(const Op&) = delete;
  Op& operator=(const Op&) = delete;

  /// Once, when the workspace has its memory: before that parameters have no address.
  virtual void find_parameters() {}

  virtual void forward(const Pass& pass) = 0;
  virtual void backward(const Pass& pass) = 0;

  /// What that pass of this op runs, for people: the work that fusion moved here or away shows in it.
  virtual std::string variant(StepPass pass) const = 0;

  /// The weights in the kernels' order, to be made anew after every update: tasks that may run side by side.
  virtual std::int64_t pack_tasks() const { return 0; }
  virtual void pack(std::int64_t /*task*/) {}

  const PlanOp& plan_op() const { return op_; }

 protected:
  /// By the offset in the network's layout; null for a tensor that the op has not (offset -1).
  float* parameter(std::int64_t offset) {
    return offset < 0 ? nullptr : w_.parameters.data() + w_.layout.offset(offset);
  }
  float* parameter_gradient(std::int64_t offset) {
    return offset < 0 ? nullptr : w_.gradients.data() + w_.layout.offset(offset);
  }

  const float* input(std::int64_t group) { return w_.value(op_.input(), group); }
  float* output(std::int64_t group) { return w_.value(op_.output, group); }
  float* output_gradient(std::int64_t group) { return w_.gradient(op_.output, group); }

  /// Whether the backward pass has to compute the gradient of its (first) input.
  bool has_input_gradient() const { return op_.input_gradients.front() != InputGradient::none; }
  /// Hands `compute` where elements [first, first + size) of one group of that gradient go: their memory, or
  /// where another reader's gradient is there already a copy that is then added to it. `thread` owns the
  /// copy.
  template <class Compute>
  void with_input_gradient(std::int64_t group, int thread, std::int64_t first, std::int64_t size,
                           const Compute& compute) {
    float* gradient = w_.gradient(op_.input(), group) + first * w_.kernels.lanes;
    if (op_.input_gradients.front() == InputGradient::store) return compute(gradient);
    float* own = added_.data() + (thread * op_.in.size() + first) * w_.kernels.lanes;
    compute(own);
    w_.kernels.add({}, size, gradient, own, gradient);
  }
  template <class Compute>
  void with_input_gradient(std::int64_t group, int thread, const Compute& compute) {
    with_input_gradient(group, thread, 0, op_.in.size(), compute);
  }

  /// Calls work(group, channels, thread) so that all `channels` of all groups are covered. Groups of one
  /// image are divided until every thread has the same share, unless that leaves a part less than what a
  /// hand-over costs. `cost` is that of a channel in multiply-adds.
  template <class Work>
  void for_each_part(std::int64_t groups, std::int64_t channels, std::int64_t cost, const Work& work) {
    constexpr std::int64_t kUnit = 4;         // whole register tiles
    constexpr std::int64_t kLeast = 1 << 17;  // some 2 us
    const std::int64_t units = (channels + kUnit - 1) / kUnit, threads = w_.team.size();
    const std::int64_t most = std::min(units, std::max<std::int64_t>(1, channels * cost / kLeast));
    const std::int64_t parts = w_.kernels.lanes > 1 ? 1 : std::min(most, threads / std::gcd(groups, threads));
    w_.team.for_each(groups * parts, [&](std::int64_t task, int thread) {
      const std::int64_t part = task % parts;
      work(task / parts,
           ChannelRange{units * part / parts * kUnit, std::min(units * (part + 1) / parts * kUnit, channels)},
           thread);
    });
  }

  Workspace& w_;
  const PlanOp& op_;

 private:
  FloatBuffer added_;  ///< [thread][input element][lane], only where gradients are added
};

}  // namespace bntrain::cpu
