// The reference's own backward pass is judged by central differences of its loss.
#include "support/plan_reference.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "support/gradcheck.hpp"

namespace bntrain::reference {
namespace {

TEST(PlanReference, GradientsAreThoseOfItsLoss) {
  SyntheticSpec spec;
  spec.shape = {2, 9, 8, false};
  spec.classes = 3;
  spec.train = 6;
  const Dataset data = make_synthetic(spec);
  for (const char* text : {"conv3x3s2p1,bn,relu,fc5,bn,fc3", "bn,conv3x2,relu,bn,maxpool2,fc3",
                           "conv2x3,flatten,bn,relu,fc4,relu,fc3",
                           "conv3x2,bn,sigmoid,avgpool3,fc4,sigmoid,fc3", "avgpool2,conv2x2,avgpool2,fc3"}) {
    SCOPED_TRACE(text);
    const Network network = Network::parse(text, spec.shape, spec.classes);
    const State start = widen(initial_state(network, Init::torch, 3));
    std::vector<std::int64_t> indices(6);
    std::iota(indices.begin(), indices.end(), 0);
    const Batch batch = read_batch(data.train, indices);
    const BatchNormOptions norm;
    State state = start, momentum;
    const Step step = train_step(network, norm, {.lr = 0.1, .gradient_scale = 1}, batch, state, momentum);
    EXPECT_DOUBLE_EQ(step.loss_sum, training_loss(network, norm, batch, start));
    for (const auto& [parameter, gradient] : step.gradients) {
      SCOPED_TRACE(parameter);
      const auto loss = [&, name = parameter](const Values& values) {
        State moved = start;
        moved[name] = values;
        return training_loss(network, norm, batch, moved);
      };
      EXPECT_TRUE(support::is_gradient(gradient, loss, start.at(parameter), 1e-6));
      for (std::size_t i = 0; i < gradient.size(); ++i) {
        EXPECT_NEAR(state.at(parameter)[i], start.at(parameter)[i] - 0.1 * gradient[i], 1e-12);
      }
    }
  }
}

}  // namespace
}  // namespace bntrain::reference
