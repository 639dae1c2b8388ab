#include <cmath>

#include "bntrain/optimizer.hpp"

namespace bntrain {

UpdateRule update_rule(const OptimizerOptions& options) {
  if (options.kind == OptimizerKind::adamw) return UpdateRule::adamw;
  if (options.momentum == 0) return UpdateRule::sgd;
  return options.nesterov ? UpdateRule::sgd_nesterov : UpdateRule::sgd_momentum;
}

UpdateScalars update_scalars(const OptimizerOptions& options, double lr, std::int64_t step) {
  const auto update = static_cast<double>(step + 1);
  return {.lr = static_cast<float>(lr),
          .weight_decay = static_cast<float>(options.weight_decay),
          .momentum = static_cast<float>(options.momentum),
          .beta1 = static_cast<float>(options.beta1),
          .beta2 = static_cast<float>(options.beta2),
          .eps = static_cast<float>(options.eps),
          .step_size = static_cast<float>(lr / (1 - std::pow(options.beta1, update))),
          .inv_root_correction = static_cast<float>(1 / std::sqrt(1 - std::pow(options.beta2, update)))};
}

}  // namespace bntrain
