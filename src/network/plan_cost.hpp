// What each part of a training step has to compute and to move.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bntrain/plan.hpp"

namespace bntrain {

/// The arithmetic of one part and the fewest bytes that it can move.
struct StepCost {
  std::string name;  ///< as StepTiming's
  StepPass pass = StepPass::forward;
  std::int64_t flops = 0;
  std::int64_t bytes = 0;
};

/// The costs of a training step of N = `images` images, part by part in the order of
/// Executable::time_steps(). A multiply-add is 2 FLOP, exp() is 1; comparisons (ReLU, max pooling) and
/// additions of a bias are not counted. Bytes are those of every tensor read once and written once, in
/// float32 but for the pixels; vectors with one number a channel or an image (biases, gamma, beta,
/// statistics, labels) are not counted. With X and Y the numbers in the input and the output of a step, all
/// images together, W its weights, P all parameters, S the positions of a convolution's output (1 for a
/// matrix product) and A what the activation of a block works on: Y, but X where it averages (a maximum is
/// taken first, of raw numbers):
///
///   part                   FLOP                                     numbers moved (4 bytes each)
///   gather                 X                                        X and X bytes
///   conv, linear forward   2 N W S                                  X + W + Y
///   conv, linear backward  2 N W S, again for the input's gradient  X + Y + W, + W + X for the input's
///                                                                   gradient, + Y for the mask of a ReLU
///   block forward          norm: 4 X (statistics) + 3 A             X + Y
///                          sigmoid: 3 A; average: X
///   block backward         norm: 5 A (sums) + 6 X                   X + Y, + X for the input's gradient
///                          sigmoid: 3 A; average: Y
///   loss                   6 X                                      2 X
///   sgd                    2 P                                      3 P
///
/// The network's input has no gradient. Where the plan leaves out the gradient between a convolution and the
/// block behind it (PlanOptions::rebuild_conv_gradients), the two share their work differently. With x, a and
/// y the block's X, A and Y:
///
///   conv forward           + norm: 4 x                              + y where the block takes maxima
///   block forward          norm: 3 a; sigmoid: 3 a; average: x      a + y
///   conv backward          + norm: 6 x; the rest of the block's     + y
///                          where it has no norm
///   block backward         norm: 5 a and the rest                   norm: a + y
std::vector<StepCost> plan_costs(const Plan& plan, std::int64_t images);

}  // namespace bntrain
