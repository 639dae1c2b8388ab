// The scalars of an update, and the rules in double precision, against the reference.
#include "bntrain/optimizer.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "optimizers/update.hpp"
#include "support/reference.hpp"

namespace bntrain {
namespace {

TEST(Optimizer, TheRuleFollowsFromTheOptions) {
  EXPECT_EQ(update_rule({}), UpdateRule::sgd);
  EXPECT_EQ(update_rule({.momentum = 0.9}), UpdateRule::sgd_momentum);
  EXPECT_EQ(update_rule({.momentum = 0.9, .nesterov = true}), UpdateRule::sgd_nesterov);
  EXPECT_EQ(update_rule({.kind = OptimizerKind::adamw}), UpdateRule::adamw);
}

TEST(Optimizer, StatesHaveTheNamesOfPyTorch) {
  EXPECT_TRUE(optimizer_state_names(UpdateRule::sgd).empty());
  EXPECT_EQ(optimizer_state_names(UpdateRule::sgd_nesterov)[0], "momentum_buffer");
  EXPECT_EQ(optimizer_state_names(UpdateRule::adamw)[0], "exp_avg");
  EXPECT_EQ(optimizer_state_names(UpdateRule::adamw)[1], "exp_avg_sq");
}

TEST(Optimizer, ScalarsOfAdamWCorrectTheBias) {
  const OptimizerOptions options{.kind = OptimizerKind::adamw, .lr = 1e-3};
  const UpdateScalars first = update_scalars(options, 1e-3, 0),
                      late = update_scalars(options, 1e-3, 1'000'000);
  EXPECT_NEAR(first.step_size, 1e-2, 1e-8);
  EXPECT_NEAR(first.inv_root_correction, 1 / std::sqrt(1e-3), 1e-3);
  EXPECT_EQ(late.step_size, 1e-3f);
  EXPECT_EQ(late.inv_root_correction, 1.0f);
}

TEST(Optimizer, TheRulesInDoubleAreThoseOfTheReference) {
  for (const UpdateRule rule :
       {UpdateRule::sgd, UpdateRule::sgd_momentum, UpdateRule::sgd_nesterov, UpdateRule::adamw}) {
    const bool adamw = rule == UpdateRule::adamw;
    const OptimizerOptions options{.kind = adamw ? OptimizerKind::adamw : OptimizerKind::sgd,
                                   .lr = 0.1,
                                   .weight_decay = 0.01,
                                   .momentum = rule == UpdateRule::sgd ? 0.0 : 0.9};
    for (const double size : {1.0, 1e-8}) {  // a gradient as small as epsilon
      UpdatedParameter p{1.5, 0, 0};
      reference::Values w{1.5}, buffer;
      reference::AdamWState state;
      for (int step = 0; step < 4; ++step) {
        const double g = size * (0.3 - 0.2 * step);
        p = updated(rule, update_scalars(options, 0.1, step), g, p);
        if (adamw)
          reference::adamw_step(w, {g}, state, {.lr = 0.1, .weight_decay = 0.01});
        else
          reference::sgd_step(w, {g}, buffer,
                              {.lr = 0.1,
                               .momentum = options.momentum,
                               .weight_decay = 0.01,
                               .nesterov = rule == UpdateRule::sgd_nesterov});
        EXPECT_NEAR(p.w, w[0], 1e-6) << static_cast<int>(rule) << ", step " << step;  // scalars are float32
      }
    }
  }
}

}  // namespace
}  // namespace bntrain
