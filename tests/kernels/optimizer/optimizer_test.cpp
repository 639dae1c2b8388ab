// The update rules against torch.optim's formulas in double precision.
#include <cmath>
#include <stdexcept>

#include "kernels/kernel_runs.hpp"
#include "kernels/kernels.hpp"
#include "support/device_vector.hpp"
#include "support/guarded.hpp"
#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace bntrain {
namespace {

using reference::Values;
using simt_host::Executor;
using support::DeviceVector;
using support::Guarded;
using support::kFloatEps;

/// Scalars of the t-th update that are all different from 0.
UpdateScalars scalars_of(int t) {
  const UpdateScalars s{
      .lr = 0.2f, .weight_decay = 0.01f, .momentum = 0.9f, .m_rate = 0.1f, .v_rate = 0.001f, .eps = 1e-8f};
  UpdateScalars result = s;
  result.lr /= static_cast<float>(t);
  result.step_size = static_cast<float>(0.001 / (1 - std::pow(0.9, t)));
  result.inv_root_correction = static_cast<float>(1 / std::sqrt(1 - std::pow(0.999, t)));
  return result;
}

struct Case {
  UpdateRule rule;
  std::int64_t size = 1023;
  std::int64_t decayed = -1;                    ///< -1: all
  std::size_t offset = 0, gradient_offset = 0;  ///< in floats from a 16-byte boundary
  unsigned halted = 0;
  DeviceVector<UpdateScalars> scalars{scalars_of(1)};
  std::int64_t step = 0;  ///< of the BatchState, 0: none is given
};

struct State {
  std::vector<float> weights, m, v;
};

/// What the update begins with. v is not negative.
State initial(std::int64_t size) {
  State state{random_values(size, 2), random_values(size, 3), random_values(size, 4)};
  for (float& value : state.v) value = std::abs(value);
  return state;
}
std::vector<float> gradient_of(std::int64_t size) {
  return random_values(size, 1);
}

/// One update, in memory with guard bands around it.
State run(const Case& c, const State& from, const std::vector<float>& gradient,
          const kernels::Stream& stream = {}) {
  const Guarded g(gradient, c.gradient_offset);
  Guarded weights(from.weights, c.offset), m(from.m, c.offset), v(from.v, c.offset);
  const DeviceVector<unsigned> halted(1, c.halted);
  const DeviceVector<kernels::BatchState> state(1, {.step = c.step});
  kernels::optimizer_step(c.rule, c.size, c.decayed < 0 ? c.size : c.decayed, g.data(), c.scalars.data(),
                          c.step > 0 ? state.data() : nullptr, halted.data(), weights.data(),
                          state_count(c.rule) > 0 ? m.data() : nullptr,
                          state_count(c.rule) > 1 ? v.data() : nullptr, stream);
  for (const Guarded* memory : {&g, &std::as_const(weights), &std::as_const(m), &std::as_const(v)})
    EXPECT_TRUE(memory->intact());
  const auto copy = [](const Guarded& x) { return std::vector<float>(x.values().begin(), x.values().end()); };
  return {copy(weights), copy(m), copy(v)};
}
State run(const Case& c, const kernels::Stream& stream = {}) {
  return run(c, initial(c.size), gradient_of(c.size), stream);
}

testing::AssertionResult same_state(const State& a, const State& b) {
  for (const auto member : {&State::weights, &State::m, &State::v})
    if (auto result = same_bits(a.*member, b.*member); !result) return result;
  return testing::AssertionSuccess();
}

/// A number and the sum of the absolute values that were added to make it.
struct Sum {
  double value, size;
};
struct Updated {
  Sum weight, m, v;
};

/// torch.optim.SGD with dampening 0, and torch.optim.AdamW.
Updated reference_update(UpdateRule rule, double g, double w, double m, double v, double decay,
                         const UpdateScalars& s) {
  if (rule == UpdateRule::adamw) {
    const Sum decayed{w - s.lr * decay * w, std::abs(w) + std::abs(s.lr * decay * w)};
    const double rate = s.m_rate, keep = 1 - rate;
    const Sum new_m{keep * m + rate * g, std::abs(m) + 2 * std::abs(rate * m) + std::abs(rate * g)};
    const double new_v = (1.0 - s.v_rate) * v + static_cast<double>(s.v_rate) * g * g;
    const double scale = s.step_size / (std::sqrt(new_v) * s.inv_root_correction + s.eps);
    return {{decayed.value - scale * new_m.value, decayed.size + scale * new_m.size}, new_m, {new_v, new_v}};
  }
  const Sum d{g + decay * w, std::abs(g) + std::abs(decay * w)};
  if (rule == UpdateRule::sgd) return {{w - s.lr * d.value, std::abs(w) + s.lr * d.size}, {m, 0}, {v, 0}};
  const Sum new_m{s.momentum * m + d.value, std::abs(s.momentum * m) + d.size};
  const Sum step = rule == UpdateRule::sgd_momentum
                       ? new_m
                       : Sum{d.value + s.momentum * new_m.value, d.size + s.momentum * new_m.size};
  return {{w - s.lr * step.value, std::abs(w) + s.lr * step.size}, new_m, {v, 0}};
}

/// At most eight roundings, each half a spacing of the sum that it is part of.
void expect_update(const Case& c, const State& before, const std::vector<float>& gradient, const State& after,
                   const UpdateScalars& s) {
  Values weights, m, v, weight_bounds, m_bounds, v_bounds;
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    const bool decays = c.decayed < 0 || static_cast<std::int64_t>(i) < c.decayed;
    const Updated u = reference_update(c.rule, gradient[i], before.weights[i], before.m[i], before.v[i],
                                       decays ? s.weight_decay : 0, s);
    weights.push_back(u.weight.value);
    m.push_back(u.m.value);
    v.push_back(u.v.value);
    weight_bounds.push_back(4 * kFloatEps * u.weight.size);
    m_bounds.push_back(2 * kFloatEps * u.m.size);
    v_bounds.push_back(2 * kFloatEps * u.v.size);
  }
  EXPECT_TRUE(support::close(after.weights, weights, weight_bounds));
  EXPECT_TRUE(support::close(after.m, m, m_bounds));
  EXPECT_TRUE(support::close(after.v, v, v_bounds));
}

const UpdateRule kRules[] = {UpdateRule::sgd, UpdateRule::sgd_momentum, UpdateRule::sgd_nesterov,
                             UpdateRule::adamw};
std::string rule_name(const testing::TestParamInfo<UpdateRule>& info) {
  return info.param == UpdateRule::sgd            ? "sgd"
         : info.param == UpdateRule::sgd_momentum ? "sgd_momentum"
         : info.param == UpdateRule::sgd_nesterov ? "sgd_nesterov"
                                                  : "adamw";
}

class Optimizer : public testing::TestWithParam<UpdateRule> {};
INSTANTIATE_TEST_SUITE_P(, Optimizer, testing::ValuesIn(kRules), rule_name);

TEST_P(Optimizer, AgreesWithTheReference) {
  for (const std::int64_t size : {1, 3, 4, 1023, 171128})
    for (const std::size_t offset : {0, 1}) {
      const Case c{.rule = GetParam(), .size = size, .offset = offset};
      SCOPED_TRACE(testing::Message() << "size " << size << ", offset " << offset);
      expect_update(c, initial(size), gradient_of(size), run(c), c.scalars[0]);
    }
}

TEST_P(Optimizer, OfSmallGradientsFollowTheEpsilon) {
  const Case c{.rule = GetParam(), .size = 4};
  State start = initial(c.size);
  start.m = start.v = std::vector<float>(4, 0);
  const std::vector<float> gradient{0, 1e-7f, -1e-8f, 1e-9f};
  expect_update(c, start, gradient, run(c, start, gradient), c.scalars[0]);
}

TEST_P(Optimizer, TenUpdatesFollowTheScalarsOfTheirSteps) {
  Case c{.rule = GetParam(), .size = 257, .decayed = 101};
  c.scalars.clear();
  for (int t = 1; t <= 10; ++t) c.scalars.push_back(scalars_of(t));
  State state = initial(c.size);
  for (c.step = 1; c.step <= 10; ++c.step) {
    const std::vector<float> gradient = random_values(c.size, static_cast<std::uint32_t>(10 + c.step));
    const State next = run(c, state, gradient);
    expect_update(c, state, gradient, next, c.scalars[at(c.step - 1)]);
    Case alone = c;
    alone.scalars = {c.scalars[at(c.step - 1)]};
    alone.step = 0;
    EXPECT_TRUE(same_state(run(alone, state, gradient), next)) << "step " << c.step;
    state = next;
  }
}

TEST_P(Optimizer, WeightDecayEndsWhereItShould) {
  const Case all{.rule = GetParam()};
  Case none = all;
  none.scalars[0].weight_decay = 0;
  const State with = run(all), without = run(none);
  for (const std::int64_t decayed : {0, 1, 6, 512, 1022, 1023})
    for (const std::size_t offset : {0, 1}) {
      SCOPED_TRACE(testing::Message() << "decayed " << decayed << ", offset " << offset);
      const State result = run({.rule = GetParam(), .decayed = decayed, .offset = offset});
      for (const auto member : {&State::weights, &State::m, &State::v}) {
        const auto count = at(decayed);
        EXPECT_TRUE(same_bits(std::span(result.*member).first(count), std::span(with.*member).first(count)));
        EXPECT_TRUE(
            same_bits(std::span(result.*member).subspan(count), std::span(without.*member).subspan(count)));
      }
    }
  EXPECT_FALSE(same_bits(with.weights, without.weights));
}

TEST_P(Optimizer, BitsDependOnNeitherScheduleNorGridNorAlignment) {
  Case c{.rule = GetParam(), .size = 21 * 1024 + 3, .decayed = 1001};
  const State expected = run(c);
  on_every_schedule_and_grid(
      [&](const kernels::Stream& stream) { EXPECT_TRUE(same_state(run(c, stream), expected)); });
  for (const auto& [offset, gradient_offset] : {std::pair{1u, 0u}, {0u, 1u}, {2u, 3u}}) {
    c.offset = offset;
    c.gradient_offset = gradient_offset;
    EXPECT_TRUE(same_state(run(c), expected));
  }
}

TEST_P(Optimizer, AHaltedRunChangesNothing) {
  EXPECT_TRUE(same_state(run({.rule = GetParam(), .halted = 1}), initial(1023)));
}

TEST_P(Optimizer, NonFiniteGradientsReachTheirOwnWeightsAlone) {
  const Case c{.rule = GetParam()};
  std::vector<float> gradient = gradient_of(c.size);
  gradient[5] = std::nanf("");
  gradient[1022] = -INFINITY;
  const State result = run(c, initial(c.size), gradient), clean = run(c);
  for (std::size_t i = 0; i < gradient.size(); ++i)
    if (i == 5 || i == 1022)
      EXPECT_FALSE(std::isfinite(result.weights[i])) << i;
    else
      EXPECT_EQ(result.weights[i], clean.weights[i]) << i;
}

TEST_P(Optimizer, LaunchesNothingForNoElements) {
  Executor executor;
  kernels::optimizer_step(GetParam(), 0, 0, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
                          executor.stream());
  EXPECT_TRUE(executor.launches().empty());
}

TEST_P(Optimizer, RefusesWhatMakesNoSense) {
  float x = 1;
  const auto step = [&](std::int64_t size, std::int64_t decayed, float* m, float* v) {
    kernels::optimizer_step(GetParam(), size, decayed, &x, nullptr, nullptr, nullptr, &x, m, v, {});
  };
  const int states = state_count(GetParam());
  float* const m = states > 0 ? &x : nullptr;
  float* const v = states > 1 ? &x : nullptr;
  EXPECT_THROW(step(-1, -1, m, v), std::invalid_argument);
  EXPECT_THROW(step(1, -1, m, v), std::invalid_argument);
  EXPECT_THROW(step(1, 2, m, v), std::invalid_argument);
  EXPECT_THROW(step(1, 1, states > 0 ? nullptr : &x, v), std::invalid_argument);
  EXPECT_THROW(step(1, 1, m, states > 1 ? nullptr : &x), std::invalid_argument);
}

}  // namespace
}  // namespace bntrain
