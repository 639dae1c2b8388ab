// The update rules, which scalars each of their steps takes, and the learning rate of every step. The
// formulas are in backend/cpu/kernels/optimizer.cpp and kernels/optimizer/, which both include this file, so
// it includes nothing of the library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace bntrain {

/// What one update does to a parameter w with gradient g, element by element, as torch.optim does:
///   sgd           g += weight_decay * w;  w -= lr * g
///   sgd_momentum  g += weight_decay * w;  m = momentum * m + g;  w -= lr * m
///   sgd_nesterov  g += weight_decay * w;  m = momentum * m + g;  w -= lr * (g + momentum * m)
///   adamw         w -= lr * weight_decay * w;  m += (1 - beta1) * (g - m);
///                 v += (1 - beta2) * (g^2 - v);
///                 w -= step_size * m / (sqrt(v) * inv_root_correction + eps)
/// Sutskever, Martens, Dahl, Hinton 2013; Loshchilov and Hutter 2017, arXiv 1711.05101.
enum class UpdateRule { sgd, sgd_momentum, sgd_nesterov, adamw };

struct UpdateType {
  UpdateRule rule;
  int states;  ///< tensors like the parameters that it keeps from step to step: m, then v
  std::string_view state_names[2];  ///< PyTorch's
  int flops;  ///< an element; square roots and divisions count 1, weight decay is left out
};

inline constexpr UpdateType update_types[] = {
    {UpdateRule::sgd, 0, {}, 2},
    {UpdateRule::sgd_momentum, 1, {"momentum_buffer"}, 4},
    {UpdateRule::sgd_nesterov, 1, {"momentum_buffer"}, 6},
    {UpdateRule::adamw, 2, {"exp_avg", "exp_avg_sq"}, 13},
};

constexpr int state_count(UpdateRule rule) {
  return update_types[static_cast<int>(rule)].states;
}
constexpr int update_flops(UpdateRule rule) {
  return update_types[static_cast<int>(rule)].flops;
}
constexpr std::span<const std::string_view> optimizer_state_names(UpdateRule rule) {
  const UpdateType& type = update_types[static_cast<int>(rule)];
  return {type.state_names, static_cast<std::size_t>(type.states)};
}

/// The scalars of one update, computed by the host in double and rounded once. A rule reads those that its
/// formula names.
struct UpdateScalars {
  float lr = 0;
  float weight_decay = 0;
  float momentum = 0;
  float m_rate = 0, v_rate = 0;  ///< 1 - beta1, 1 - beta2: taken in float, the latter would be off by 1e-5
  float eps = 0;
  float step_size = 0;            ///< lr / (1 - beta1^t) in the t-th update, from 1
  float inv_root_correction = 0;  ///< 1 / sqrt(1 - beta2^t)

  bool operator==(const UpdateScalars&) const = default;
};

/// torch.optim.SGD with dampening 0, or torch.optim.AdamW without amsgrad.
enum class OptimizerKind { sgd, adamw };

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::sgd;
  double lr = 0.2;
  double weight_decay = 0;
  bool decay_weights_only = false;                ///< weight decay leaves biases, gamma and beta alone
  double momentum = 0;                            ///< sgd
  bool nesterov = false;                          ///< sgd, with momentum
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;  ///< adamw
};

UpdateRule update_rule(const OptimizerOptions& options);

/// Of update number `step`, from 0, with the learning rate `lr` of that step.
UpdateScalars update_scalars(const OptimizerOptions& options, double lr, std::int64_t step);

struct ScheduleOptions {
  std::string text = "constant";  ///< see Schedule
  std::int64_t warmup = 0;        ///< steps
  std::int64_t steps = 0;         ///< how long the schedule is; 0: as long as the run
};

/// A schedule's text is one of these, with L the learning rate, t the step from 0 and T the schedule's steps
/// (warm-up left out of both), as torch.optim.lr_scheduler has them when stepped every training step:
///   constant              L
///   step:EPOCHS:GAMMA     L * GAMMA^(epoch / EPOCHS), rounded down (StepLR)
///   cosine[:MIN]          MIN + (L - MIN) * (1 + cos(pi t / T)) / 2 (CosineAnnealingLR)
///   onecycle              from L / 25 to L in the first 30% of the steps, then to L / 250,000, along cosines
///                         (OneCycleLR; momentum is not cycled)
///   linear:STEP=FACTOR,...  L times the factor that is interpolated between these points, constant before
///   the
///                         first and after the last
/// In the first `warmup` steps the rate is that of t = 0 times (step + 1) / warmup. Beyond T it stays what it
/// was in the last step.
class Schedule {
 public:
  /// `steps`: of the whole run, warm-up included. Throws Error(usage) for a text that is none of these.
  Schedule(const ScheduleOptions& options, double lr, std::int64_t steps, std::int64_t steps_per_epoch);

  double lr(std::int64_t step) const;
  /// How many steps it was made for, warm-up included.
  std::int64_t steps() const { return steps_; }

 private:
  std::int64_t warmup_, steps_;
  std::function<double(std::int64_t)> rate_;  ///< by t
};

/// Throws Error(usage) that says what is wrong and what is allowed.
void check_schedule(const std::string& text);

}  // namespace bntrain
