// One fused step of the plan, compiled for the CPU. The ops of a plan share one workspace.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "backend/cpu/kernels.hpp"
#include "backend/cpu/memory.hpp"
#include "backend/cpu/thread_team.hpp"
#include "bntrain/dataset.hpp"
#include "bntrain/plan.hpp"

namespace bntrain::cpu {

/// The memory and the threads that every op of an executable works with.
struct Workspace {
  const Plan& plan;
  const Kernels& kernels;
  ThreadTeam& team;
  std::int64_t capacity;  ///< images the arena has room for, a multiple of the lanes
  FloatBuffer arena;
  FloatBuffer parameters, gradients, velocity, running;

  std::int64_t groups() const { return capacity / kernels.lanes; }
  const Shape& shape(int value) const { return plan.values[static_cast<std::size_t>(value)].shape; }
  /// The activation (gradient) of a value for one group.
  float* value(int number, std::int64_t group) {
    const PlanValue& v = plan.values[static_cast<std::size_t>(number)];
    return arena.data() + v.offset * capacity + group * v.shape.size() * kernels.lanes;
  }
  float* gradient(int number, std::int64_t group) {
    const PlanValue& v = plan.values[static_cast<std::size_t>(number)];
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
  Op(Workspace& workspace, const PlanStep& step) : w_(workspace), step_(step) {}
  virtual ~Op() = default;
  Op(const Op&) = delete;
  Op& operator=(const Op&) = delete;

  virtual void forward(const Pass& pass) = 0;
  virtual void backward(const Pass& pass) = 0;

  /// What that pass of this op runs, for people: the work that fusion moved here or away shows in it.
  virtual std::string variant(StepPass pass) const = 0;

  /// The weights in the kernels' order, to be made anew after every update: tasks that may run side by side.
  virtual std::int64_t pack_tasks() const { return 0; }
  virtual void pack(std::int64_t /*task*/) {}

  const PlanStep& step() const { return step_; }

 protected:
  /// Null for a tensor that the step has not (offset -1).
  float* parameter(std::int64_t offset) { return offset < 0 ? nullptr : w_.parameters.data() + offset; }
  float* parameter_gradient(std::int64_t offset) {
    return offset < 0 ? nullptr : w_.gradients.data() + offset;
  }

  Workspace& w_;
  const PlanStep& step_;
};

}  // namespace bntrain::cpu
