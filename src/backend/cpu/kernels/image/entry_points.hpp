// The functions behind the table of one image a group, declared as in ../entry_points.hpp.
#pragma once

#include "backend/cpu/kernels/entry_points.hpp"

namespace bntrain::cpu::BNTRAIN_ISA::image {

#define BNTRAIN_ENTRY(name) FunctionOf<decltype(Kernels::name)>::Type name
BNTRAIN_ENTRY(gather);
BNTRAIN_ENTRY(pad);
BNTRAIN_ENTRY(block_reduce);
BNTRAIN_ENTRY(block_forward);
BNTRAIN_ENTRY(block_backward_sums);
BNTRAIN_ENTRY(block_backward_input);
BNTRAIN_ENTRY(feature_moments);
BNTRAIN_ENTRY(feature_backward_sums);
BNTRAIN_ENTRY(relayout);
BNTRAIN_ENTRY(linear_forward);
BNTRAIN_ENTRY(linear_backward_input);
BNTRAIN_ENTRY(linear_backward_weights);
BNTRAIN_ENTRY(activation_backward);
BNTRAIN_ENTRY(add);
BNTRAIN_ENTRY(softmax_cross_entropy);
#undef BNTRAIN_ENTRY

extern const ConvAlgorithm conv_table;

}  // namespace bntrain::cpu::BNTRAIN_ISA::image
