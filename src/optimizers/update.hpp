// The update rules in double precision: what devices' steps are judged by.
#pragma once

#include "bntrain/optimizer.hpp"

namespace bntrain {

/// A parameter and what its optimiser keeps.
struct UpdatedParameter {
  double w = 0, m = 0, v = 0;
};

/// One update of bntrain/optimizer.hpp by the gradient g, weight decay as `scalars` has it.
UpdatedParameter updated(UpdateRule rule, const UpdateScalars& scalars, double g, UpdatedParameter parameter);

}  // namespace bntrain
