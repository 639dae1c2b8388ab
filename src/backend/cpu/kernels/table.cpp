// The table of one instruction set.
#include "backend/cpu/kernels.hpp"
#include "backend/cpu/kernels/entry_points.hpp"
#include "backend/cpu/kernels/vec.hpp"

#define BNTRAIN_QUOTE(x) #x
#define BNTRAIN_NAME(x) BNTRAIN_QUOTE(x)

namespace bntrain::cpu::BNTRAIN_ISA {

#if defined(__x86_64__)
constexpr const char* kName = "x86-64-" BNTRAIN_NAME(BNTRAIN_ISA);
#else
constexpr const char* kName = "baseline";
#endif

const Kernels& kernels() {
  static constexpr Kernels table{
      .lanes = kLanes,
      .name = kName,
      .gather = gather,
      .pad = pad,
      .conv_packed_floats = conv_packed_floats,
      .conv_pack = conv_pack,
      .conv_backward_packed_floats = conv_backward_packed_floats,
      .conv_backward_pack = conv_backward_pack,
      .conv_forward = conv_forward,
      .conv_backward_weights = conv_backward_weights,
      .conv_backward_input = conv_backward_input,
      .block_reduce = block_reduce,
      .block_forward = block_forward,
      .block_backward_sums = block_backward_sums,
      .block_backward_input = block_backward_input,
      .relayout = relayout,
      .panel_product = panel_product,
      .panel_outer = panel_outer,
      .relu_backward = relu_backward,
      .softmax_cross_entropy = softmax_cross_entropy,
      .merge = merge,
      .sgd = sgd,
      .multiply_add_chains = multiply_add_chains,
      .chain_floats = kChains * kLanes,
      .transpose = transpose,
  };
  return table;
}

}  // namespace bntrain::cpu::BNTRAIN_ISA
