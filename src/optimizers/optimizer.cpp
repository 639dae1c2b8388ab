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
                        .m_rate = static_cast<float>(1 - options.beta1),
                        .v_rate = static_cast<float>(1 - options.beta2),
                        .eps = static_cast<float>(options.eps)};
  const auto correction = [&](double beta) { return 1 - std::pow(beta, static_cast<double>(step + 1)); };
  scalars.step_size = static_cast<float>(lr / correction(options.beta1));
  scalars.inv_root_correction = static_cast<float>(1 / std::sqrt(correction(options.beta2)));
  return scalars;
}

}  // namespace bntrain
