// bntrain::kernels: updates of the parameters. Part of kernels.hpp, whose rules hold here too.
#pragma once

#include <cstdint>

#include "bntrain/optimizer.hpp"

namespace bntrain::kernels {

struct BatchState;
struct Stream;

/// One update of a flat buffer of parameters by the rule's formula, see bntrain/optimizer.hpp; weight_decay
/// counts as 0 for the elements from `decayed` on. scalars: device memory, those of the update are
/// scalars[state->step - 1]: softmax_cross_entropy() has already advanced `state`. state null: scalars[0].
/// gradient, weights, m, v: [size], no two overlap. m and v are zeros before the first update; those that the
/// rule does not have (state_count()) are null. halted: device memory or null; where it is not 0, nothing is
/// changed.
void optimizer_step(UpdateRule rule, std::int64_t size, std::int64_t decayed, const float* gradient,
                    const UpdateScalars* scalars, const BatchState* state, const unsigned* halted,
                    float* weights, float* m, float* v, const Stream& stream);

}  // namespace bntrain::kernels
