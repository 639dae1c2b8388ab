// The functions behind the table, declared from its members so that the two cannot disagree.
#pragma once

#include "backend/cpu/kernels.hpp"

namespace bntrain::cpu::BNTRAIN_ISA {

template <class Pointer>
struct FunctionOf;
template <class Function>
struct FunctionOf<Function*> {
  using Type = Function;
};
#define BNTRAIN_ENTRY(name) FunctionOf<decltype(Kernels::name)>::Type name
BNTRAIN_ENTRY(gather);
BNTRAIN_ENTRY(pad);
BNTRAIN_ENTRY(conv_packed_floats);
BNTRAIN_ENTRY(conv_pack);
BNTRAIN_ENTRY(conv_backward_packed_floats);
BNTRAIN_ENTRY(conv_backward_pack);
BNTRAIN_ENTRY(conv_forward);
BNTRAIN_ENTRY(conv_backward_weights);
BNTRAIN_ENTRY(conv_backward_input);
BNTRAIN_ENTRY(block_reduce);
BNTRAIN_ENTRY(block_forward);
BNTRAIN_ENTRY(block_backward_sums);
BNTRAIN_ENTRY(block_backward_input);
BNTRAIN_ENTRY(relayout);
BNTRAIN_ENTRY(panel_product);
BNTRAIN_ENTRY(panel_outer);
BNTRAIN_ENTRY(relu_backward);
BNTRAIN_ENTRY(softmax_cross_entropy);
BNTRAIN_ENTRY(merge);
BNTRAIN_ENTRY(sgd);
BNTRAIN_ENTRY(transpose);
#undef BNTRAIN_ENTRY

}  // namespace bntrain::cpu::BNTRAIN_ISA
