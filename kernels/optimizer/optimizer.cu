// One update of the parameters, which are one flat buffer: a functor for each rule.
//
// Maths: bntrain/optimizer.hpp, element by element. Contract: optimizer.hpp. Every element is computed by one
// thread on its own, so the bits do not depend on the grid. Bytes moved: 4 * size * (3 + 2 *
// state_count(rule)).
#include <cmath>

#include "kernels/kernels.hpp"
#include "kernels/simt/launch.hpp"
#include "kernels/simt/simt.hpp"

namespace bntrain::kernels {
namespace {

using namespace simt;

// update(g, w, decay, s, m, v) returns the new weight, and replaces the old m and v by the new ones. decay:
// the weight decay of this element.

struct Sgd {
  static constexpr UpdateRule kRule = UpdateRule::sgd;
  SIMT_DEVICE static float update(float g, float w, float decay, const UpdateScalars& s, float&, float&) {
    return w - s.lr * (g + decay * w);
  }
};

struct SgdMomentum {
  static constexpr UpdateRule kRule = UpdateRule::sgd_momentum;
  SIMT_DEVICE static float update(float g, float w, float decay, const UpdateScalars& s, float& m, float&) {
    m = s.momentum * m + (g + decay * w);
    return w - s.lr * m;
  }
};

struct SgdNesterov {
  static constexpr UpdateRule kRule = UpdateRule::sgd_nesterov;
  SIMT_DEVICE static float update(float g, float w, float decay, const UpdateScalars& s, float& m, float&) {
    g += decay * w;
    m = s.momentum * m + g;
    return w - s.lr * (g + s.momentum * m);
  }
};

struct AdamW {
  static constexpr UpdateRule kRule = UpdateRule::adamw;
  SIMT_DEVICE static float update(float g, float w, float decay, const UpdateScalars& s, float& m, float& v) {
    w -= s.lr * decay * w;
    m += s.m_rate * (g - m);
    v += s.v_rate * (g * g - v);
    return w - s.step_size * m / (std::sqrt(v) * s.inv_root_correction + s.eps);
  }
};

template <typename Rule>
constexpr int kStates = state_count(Rule::kRule);

struct OptimizerTuning {
  static constexpr int kThreads = 256;
  static constexpr int kBlocksPerSm = 8;  // 2048 threads, all that fit
};

/// `vectors` is size / 4 where all pointers are 16-byte aligned and else 0; the other elements are read one
/// by one.
template <typename Rule>
SIMT_KERNEL(OptimizerTuning::kThreads)
optimizer_kernel(std::int64_t size, std::int64_t vectors, std::int64_t decayed,
                 const float* __restrict__ gradient, const UpdateScalars* __restrict__ scalars,
                 const BatchState* __restrict__ state, const unsigned* __restrict__ halted,
                 float* __restrict__ weights, float* __restrict__ m, float* __restrict__ v) {
  if (halted != nullptr && load(halted) != 0) return;
  const UpdateScalars s = load(scalars + (state != nullptr ? load(&state->step) - 1 : 0));
  constexpr bool kHasM = kStates < Rule >> 0, kHasV = kStates < Rule >> 1;
  constexpr int kLanes = Vec<float>::kSize;
  const auto decay = [&](std::int64_t i) { return i < decayed ? s.weight_decay : 0.0f; };
  for (std::int64_t i = grid_thread(); i < vectors; i += grid_threads()) {
    const Vec<float> g = load_vec(gradient + i * kLanes);
    Vec<float> w = load_vec(weights + i * kLanes), new_m = {}, new_v = {};
    if constexpr (kHasM) new_m = load_vec(m + i * kLanes);
    if constexpr (kHasV) new_v = load_vec(v + i * kLanes);
    SIMT_UNROLL
    for (int lane = 0; lane < kLanes; ++lane)
      w.lane[lane] = Rule::update(g.lane[lane], w.lane[lane], decay(i * kLanes + lane), s, new_m.lane[lane],
                                  new_v.lane[lane]);
    store_vec(weights + i * kLanes, w);
    if constexpr (kHasM) store_vec(m + i * kLanes, new_m);
    if constexpr (kHasV) store_vec(v + i * kLanes, new_v);
  }
  for (std::int64_t i = vectors * kLanes + grid_thread(); i < size; i += grid_threads()) {
    float new_m = 0, new_v = 0;
    if constexpr (kHasM) new_m = load(m + i);
    if constexpr (kHasV) new_v = load(v + i);
    store(weights + i, Rule::update(load(gradient + i), load(weights + i), decay(i), s, new_m, new_v));
    if constexpr (kHasM) store(m + i, new_m);
    if constexpr (kHasV) store(v + i, new_v);
  }
}

auto kernel_of(UpdateRule rule) {
  switch (rule) {
    case UpdateRule::sgd:
      return optimizer_kernel<Sgd>;
    case UpdateRule::sgd_momentum:
      return optimizer_kernel<SgdMomentum>;
    case UpdateRule::sgd_nesterov:
      return optimizer_kernel<SgdNesterov>;
    case UpdateRule::adamw:
      break;
  }
  return optimizer_kernel<AdamW>;
}

}  // namespace

void optimizer_step(UpdateRule rule, std::int64_t size, std::int64_t decayed, const float* gradient,
                    const UpdateScalars* scalars, const BatchState* state, const unsigned* halted,
                    float* weights, float* m, float* v, const Stream& stream) {
  constexpr const char* kName = "optimizer_step";
  require(size >= 0 && decayed >= 0 && decayed <= size, kName,
          "a size is negative, or more is decayed than there is");
  if (size == 0) return;
  require((m != nullptr) == (state_count(rule) > 0) && (v != nullptr) == (state_count(rule) > 1), kName,
          "the rule keeps other tensors than those given");
  // A null pointer is aligned.
  const bool aligned = is_aligned(gradient) && is_aligned(weights) && is_aligned(m) && is_aligned(v);
  const std::int64_t vectors = aligned ? size / Vec<float>::kSize : 0;
  launch(kernel_of(rule),
         {.name = kName,
          .grid = strided_grid(aligned ? vectors + 1 : size, OptimizerTuning::kThreads,
                               OptimizerTuning::kBlocksPerSm, stream),
          .block = OptimizerTuning::kThreads},
         stream, size, vectors, decayed, gradient, scalars, state, halted, weights, m, v);
}

}  // namespace bntrain::kernels
