#include "optimizers/update.hpp"

#include <cmath>

namespace bntrain {

UpdatedParameter updated(UpdateRule rule, const UpdateScalars& s, double g, UpdatedParameter p) {
  if (rule == UpdateRule::adamw) {
    p.w -= static_cast<double>(s.lr) * s.weight_decay * p.w;
    p.m += s.m_rate * (g - p.m);
    p.v += s.v_rate * (g * g - p.v);
    p.w -= s.step_size * p.m / (std::sqrt(p.v) * s.inv_root_correction + s.eps);
    return p;
  }
  g += s.weight_decay * p.w;
  double direction = g;
  if (rule != UpdateRule::sgd) {
    p.m = s.momentum * p.m + g;
    direction = rule == UpdateRule::sgd_nesterov ? g + s.momentum * p.m : p.m;
  }
  p.w -= s.lr * direction;
  return p;
}

}  // namespace bntrain
