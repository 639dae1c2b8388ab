// From layers to ops: what is fused, and the decisions that follow from who reads what.
#pragma once

#include "plan/plan.hpp"

namespace bntrain {

/// Fills plan.ops and the shapes of plan.values.
void fuse(Plan& plan, const FusionRules& rules);

}  // namespace bntrain
