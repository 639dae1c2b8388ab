// The update rules: what an optimiser remembers and which scalars each of its steps takes. The formulas are
// in backend/cpu/kernels/optimizer.cpp and kernels/optimizer/, which both include this file, so it includes
// nothing of the library.
#pragma once

namespace bntrain {

/// What one update does to a parameter w with gradient g, element by element, as torch.optim does:
///   sgd           g += weight_decay * w;  w -= lr * g
///   sgd_momentum  g += weight_decay * w;  m = momentum * m + g;  w -= lr * m
///   sgd_nesterov  g += weight_decay * w;  m = momentum * m + g;  w -= lr * (g + momentum * m)
///   adamw         w -= lr * weight_decay * w;  m = beta1 * m + (1 - beta1) * g;
///                 v = beta2 * v + (1 - beta2) * g^2;
///                 w -= step_size * m / (sqrt(v) * inv_root_correction + eps)
/// Sutskever, Martens, Dahl, Hinton 2013; Loshchilov and Hutter 2017, arXiv 1711.05101.
enum class UpdateRule { sgd, sgd_momentum, sgd_nesterov, adamw };

/// How many tensors like the parameters a rule keeps from step to step: m, then v.
constexpr int state_count(UpdateRule rule) {
  return rule == UpdateRule::sgd ? 0 : rule == UpdateRule::adamw ? 2 : 1;
}

/// The numbers of one update, computed by the host in double and rounded once. A rule reads those that its
/// formula names.
struct UpdateScalars {
  float lr = 0;
  float weight_decay = 0;
  float momentum = 0;
  float beta1 = 0, beta2 = 0, eps = 0;
  float step_size = 0;            ///< lr / (1 - beta1^t) in the t-th update, from 1
  float inv_root_correction = 0;  ///< 1 / sqrt(1 - beta2^t)

  bool operator==(const UpdateScalars&) const = default;
};

}  // namespace bntrain
