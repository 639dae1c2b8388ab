// The update rules: what an optimiser remembers and which scalars each of its steps takes. The formulas are
// in backend/cpu/kernels/optimizer.cpp and kernels/optimizer/, which both include this file, so it includes
// nothing of the library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
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

}  // namespace bntrain
