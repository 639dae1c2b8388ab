// Devices that differ by float32 rounding alone agree, also where a network magnifies it.
#include <gtest/gtest.h>

#include "backend/check/backend.hpp"
#include "backend/check/checked_training.hpp"
#include "bntrain/error.hpp"
#include "support/cuda_host/backend.hpp"
#include "support/cuda_host/host_resources.hpp"

namespace bntrain::test {
namespace {

struct Magnifying {
  const char* name;
  const char* text;
  Shape shape;
  std::int64_t batch;
  Init init = Init::torch;
};

void PrintTo(const Magnifying& network, std::ostream* out) {
  *out << network.name;
}

const Magnifying kNetworks[] = {
    // Gradients before the last norm are what two images leave after almost all has cancelled.
    {"norm_over_two_images",
     "conv6x3p2nobias,relu,bn,conv4x2,bn,relu,maxpool3,fc30,sigmoid,fc16nobias,bn,fc4",
     {1, 14, 14, false},
     2,
     Init::xavier},
    {"two_norms_over_two_images", "fc32,sigmoid,fc20,bn,relu,fc9,bn,fc4", {1, 5, 9, false}, 2, Init::he},
    // One channel: a tensor of one element has no other elements to be measured by.
    {"one_channel", "conv1x3s2nobias,relu,bn,fc16,bn,fc4", {1, 17, 13, false}, 2},
    // Long sums of numbers of one sign.
    {"long_sums",
     "conv8x5nobias,relu,bn,conv12x3,bn,sigmoid,avgpool2,fc12nobias,bn,fc4",
     {1, 29, 29, false},
     3,
     Init::gluon},
    {"one_image", "conv3x3,relu,conv4x2,sigmoid,avgpool2,fc4", {2, 9, 9, false}, 1},
};

class Rounding : public testing::TestWithParam<Magnifying> {
 protected:
  ~Rounding() override { cuda::host_resources().float_chains = false; }

  static void train(const std::function<std::unique_ptr<Backend>()>& judged, Fault fault = {}) {
    TrainingSetup setup;
    setup.text = GetParam().text;
    setup.shape = GetParam().shape;
    setup.batch = GetParam().batch;
    setup.init = GetParam().init;
    setup.backend = {"check", [&](int) {
                       auto other = std::make_unique<FaultyBackend>(judged(), fault);
                       return make_check_backend(make_reference(), std::move(other));
                     }};
    SmallTraining training(setup);
    const std::int64_t batch = setup.batch, steps = setup.train / batch;
    const SgdStep params{
        .lr = 0.2, .momentum = 0.9, .weight_decay = 1e-3, .gradient_scale = 1.0 / static_cast<double>(batch)};
    for (int step = 0; step < 18; ++step) training->train_step({step % steps * batch, batch}, params);
    for (int step = 0; step < 3; ++step) training->eval_step({step * batch, batch});
  }
};

TEST_P(Rounding, OfInstructionSetsIsExplained) {
  EXPECT_NO_THROW(train(make_other));
}

TEST_P(Rounding, OfChainsOfMultiplyAddsIsExplained) {
  cuda::host_resources().float_chains = true;
  EXPECT_NO_THROW(train([] { return cuda::make_host_backend(); }));
}

TEST_P(Rounding, HidesNoWrongGradientOfTheLastLayer) {
  const Fault fault{.gradients = [](int, ModelState& state) {
    for (float& value : state.tensors.back().floats()) value *= 1.01f;
  }};
  EXPECT_THROW(train(make_other, fault), Error);
}

TEST_P(Rounding, HidesNoUpdateThatIsNotApplied) {
  const Fault fault{.params = [](int step, BatchRange, StepParams& params) {
    if (step == 5) params.update.lr = 0;
  }};
  EXPECT_THROW(train(make_other, fault), Error);
}

INSTANTIATE_TEST_SUITE_P(Networks, Rounding, testing::ValuesIn(kNetworks),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace bntrain::test
