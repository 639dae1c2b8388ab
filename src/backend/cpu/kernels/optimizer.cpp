// The update rules of bntrain/optimizer.hpp over a part of the flat buffers.
#include <math.h>

#include "backend/cpu/kernels.hpp"
#include "backend/cpu/kernels/entry_points.hpp"

namespace bntrain::cpu::BNTRAIN_ISA {

static void sgd(const UpdateScalars& s, std::int64_t size, const float* gradient, float* weights) {
  for (std::int64_t i = 0; i < size; ++i) {
    const float g = gradient[i] + s.weight_decay * weights[i];
    weights[i] -= s.lr * g;
  }
}

static void sgd_momentum(const UpdateScalars& s, std::int64_t size, const float* gradient, float* weights,
                         float* m) {
  for (std::int64_t i = 0; i < size; ++i) {
    const float g = gradient[i] + s.weight_decay * weights[i];
    m[i] = s.momentum * m[i] + g;
    weights[i] -= s.lr * m[i];
  }
}

static void sgd_nesterov(const UpdateScalars& s, std::int64_t size, const float* gradient, float* weights,
                         float* m) {
  for (std::int64_t i = 0; i < size; ++i) {
    const float g = gradient[i] + s.weight_decay * weights[i];
    m[i] = s.momentum * m[i] + g;
    weights[i] -= s.lr * (g + s.momentum * m[i]);
  }
}

static void adamw(const UpdateScalars& s, std::int64_t size, const float* gradient, float* weights, float* m,
                  float* v) {
  const float keep = 1.0f - s.lr * s.weight_decay;
  for (std::int64_t i = 0; i < size; ++i) {
    const float g = gradient[i];
    m[i] += s.m_rate * (g - m[i]);
    v[i] += s.v_rate * (g * g - v[i]);
    weights[i] = keep * weights[i] - s.step_size * m[i] / (sqrtf(v[i]) * s.inv_root_correction + s.eps);
  }
}

void update(UpdateRule rule, const UpdateScalars& scalars, std::int64_t size, const float* gradient,
            float* weights, float* m, float* v) {
  switch (rule) {
    case UpdateRule::sgd:
      return sgd(scalars, size, gradient, weights);
    case UpdateRule::sgd_momentum:
      return sgd_momentum(scalars, size, gradient, weights, m);
    case UpdateRule::sgd_nesterov:
      return sgd_nesterov(scalars, size, gradient, weights, m);
    case UpdateRule::adamw:
      return adamw(scalars, size, gradient, weights, m, v);
  }
}

}  // namespace bntrain::cpu::BNTRAIN_ISA
