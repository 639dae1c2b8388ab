// What each part of a training step has to compute and to move.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plan/plan.hpp"

namespace bntrain {

// The parts of a training step that are no op of the plan.
inline constexpr const char *gather_part = "gather", *update_part = "update";

/// The arithmetic of one part and the fewest bytes that it can move.
struct OpCost {
  std::string name;  ///< as OpTiming's
  StepPass pass = StepPass::forward;
  std::int64_t flops = 0;
  std::int64_t bytes = 0;
};

/// The costs of a training step of N = `images` images, part by part in the order of Diagnostics::time_ops().
/// A multiply-add is 2 FLOP, exp() is 1; comparisons (ReLU, max pooling) and additions of a bias are not
/// counted. Bytes are those of every tensor read once and written once, in float32 but for the pixels;
/// vectors with one element a channel or an image (biases, gamma, beta, statistics, labels) are not counted.
/// With X and Y the elements of the input and the output of an op, all images together, W its weights, P all
/// parameters, M the tensors that the optimiser keeps, S the positions of a convolution's output (1 for a
/// matrix product), A what the activation of a block works on: Y, but X where it averages (a maximum is taken
/// before), f and b the activation's FLOP forward and backward (activation.hpp):
///
///   part                   FLOP                                     elements moved (4 bytes each)
///   gather                 X                                        X and X bytes
///   conv, linear forward   2 N W S                                  X + W + Y
///   conv, linear backward  2 N W S, again for the input's gradient  X + Y + W, + W + X for the input's
///                                                                   gradient, + Y for the mask of a ReLU
///   block forward          norm: 4 X (statistics) + 3 A             X + Y
///                          activation: f A; average: X
///   block backward         norm: 5 A (sums) + 6 X                   X + Y, + X for the input's gradient
///                          activation: b A; average: Y
///   add forward            (1 + f) Y                                3 Y
///   add backward           b Y                                      2 Y for a gradient that is stored, none
///   for
///                                                                   one that is shared; activation: 3 Y
///   loss                   6 X                                      2 X
///   update                 sgd: 2 P, momentum 4 P, AdamW 13 P       (3 + 2 M) P
///
/// The network's input has no gradient. A gradient that is added to another reader's costs X FLOP and X
/// elements more. Where the gradient between a convolution and the block after it is rebuilt
/// (PlanOp::gradient_rebuilt), the two share their work differently. With x, a and y the block's X, A and Y:
///
///   conv forward           + norm: 4 x                              + y where the block takes maxima
///   block forward          norm: 3 a; activation: f a; average: x   a + y
///   conv backward          + norm: 6 x; the rest of the block's     + y
///                          where it has no norm
///   block backward         norm: 5 a and the rest                   norm: a + y
std::vector<OpCost> plan_costs(const Plan& plan, std::int64_t images);

}  // namespace bntrain
