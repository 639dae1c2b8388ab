#include <cmath>

#include "bntrain/optimizer.hpp"

namespace bntrain {

UpdateRule update_rule(const OptimizerOptions& options) {
  if (options.kind == OptimizerKind::adamw) return UpdateRule::adamw;
  if (options.momentum == 0) return UpdateRule::sgd;
  return options.nesterov ? UpdateRule::sgd_nesterov : UpdateRule::sgd_momentum;
}

UpdateScalars update_scalars(const OptimizerOptions& options, double lr, std::int64_t step) {
  UpdateScalars scalars{.lr = static_cast<float>(lr),
                        .weight_decay = static_cast<float>(options.weight_decay),
                        .momentum = static_cast<float>(options.momentum),
                        .beta1 = static_cast<float>(options.beta1),
                        .beta2 = static_cast<float>(options.beta2),
                        .eps = static_cast<float>(options.eps)};
  // Of the betas as the update has them: 1 - beta2 would else be off by 6e-6 in the first updates.
  const auto correction = [&](float beta) {
    return 1 - std::pow(static_cast<double>(beta), static_cast<double>(step + 1));
  };
  scalars.step_size = static_cast<float>(lr / correction(scalars.beta1));
  scalars.inv_root_correction = static_cast<float>(1 / std::sqrt(correction(scalars.beta2)));
  return scalars;
}

}  // namespace bntrain
