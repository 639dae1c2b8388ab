// One image a group: where it is chosen, and that threads may share an image.
#include <algorithm>
#include <vector>

#include "backend/cpu/backend.hpp"
#include "backend/cpu/conv_problem.hpp"
#include "core/random.hpp"
#include "support/small_training.hpp"

namespace bntrain::cpu {
namespace {

using support::Guarded;

class OneImageKernelTest : public KernelTest {};

TEST_P(OneImageKernelTest, RangesOfChannelsFillWhatIsTheirsWithTheBitsOfTheWhole) {
  for (const ConvCase& c :
       {ConvCase{5, 11, 3, 1, 1, 9, 13, 0}, {3, 9, 5, 2, 2, 7, 6, 1}, {300, 7, 1, 1, 0, 3, 5, 0}}) {
    SCOPED_TRACE(c.name());
    const ConvAlgorithm& conv = *k.direct;
    const ConvProblem p = make_problem(c, 1, [this](std::int64_t size) { return random(size); });
    const GradientLayout layout = conv.gradient_layout(p.shape, p.padding, true);
    const Guarded in = p.padded_lanes(1, 0), weights(p.weight), dy(p.dy);
    Guarded scratch(at(conv.scratch_floats(p.shape)));
    const auto filled = [](std::int64_t size) { return Guarded(std::vector<float>(at(size), 7.0f)); };
    // `compute(range, result)` of all channels and of all but the first and the last.
    const auto compare = [&](std::int64_t channels, std::int64_t size, const auto& compute) {
      Guarded whole = filled(channels * size), part = filled(channels * size);
      compute(ChannelRange{0, channels}, whole.data());
      compute(ChannelRange{1, channels - 1}, part.data());
      EXPECT_TRUE(whole.intact() && part.intact() && scratch.intact());
      for (std::int64_t i = 0; i < channels * size; ++i)
        ASSERT_EQ(part.data()[i], i < size || i >= (channels - 1) * size ? 7 : whole.data()[i]) << i;
    };
    compare(c.out_channels, c.out_height * c.out_width, [&](const ChannelRange& range, float* out) {
      conv.forward(p.shape, range, in.data(), weights.data(), p.bias.data(), out, {}, scratch.data());
    });
    compare(c.in_channels, p.dense.height * p.dense.width, [&](const ChannelRange& range, float* din) {
      conv.backward_input(p.shape, range, p.padding, dy.data(), layout, weights.data(), din, scratch.data());
    });
    compare(c.out_channels, c.in_channels * c.kernel * c.kernel,
            [&](const ChannelRange& range, float* partial) {
              conv.backward_weights(p.shape, range, in.data(), dy.data(), layout, partial, nullptr,
                                    scratch.data());
            });
    compare(c.out_channels, 1, [&](const ChannelRange& range, float* dbias) {
      std::vector<float> partial(p.weight.size());
      conv.backward_weights(p.shape, range, in.data(), dy.data(), layout, partial.data(), dbias,
                            scratch.data());
    });
  }
}

TEST_P(OneImageKernelTest, LanesBeyondAPlaneHaveNoShareInItsSums) {
  // There (0 - mean) * inv_std is infinite, and that times the gradient 0 NaN.
  const float mean = 1e37f, inv_std = 316, gamma = 1, beta = 0;
  const NormCoefficients n{&mean, &inv_std, &gamma, &beta, nullptr, nullptr};
  const Guarded x(std::vector<float>(3, mean)), ones(std::vector<float>(3, 1.0f));
  double sums[2];
  k.block_backward_sums({1, 1, 3, 1, 3, 1, true, false, {}}, x.data(), ones.data(), ones.data(), n, sums);
  EXPECT_EQ(sums[0], 3);
  EXPECT_EQ(sums[1], 0);
}

std::vector<Table> image_tables() {
  std::vector<Table> all = tables();
  std::erase_if(all, [](const Table& table) { return table.lanes != Lanes::one_image; });
  return all;
}

INSTANTIATE_TEST_SUITE_P(Isa, OneImageKernelTest, testing::ValuesIn(image_tables()), table_name);

class SmallBatchTest : public testing::TestWithParam<CpuIsa> {
 protected:
  static test::TrainingSetup setup_of(const char* text, std::int64_t batch) {
    test::TrainingSetup setup;
    setup.text = text;
    setup.batch = batch;
    setup.train = 4 * batch + (batch + 1) / 2;
    setup.backend = test::one_image_backend(GetParam());
    setup.shape = {2, 28, 28, false};  // enough work to be shared
    return setup;
  }
  static ModelState after_an_epoch(const test::TrainingSetup& setup) {
    test::SmallTraining training(setup);
    training->set_order(epoch_order(setup.train, 9, 0, true));
    for (std::int64_t first = 0; first < setup.train; first += setup.batch)
      training->train_step({first, std::min(setup.batch, setup.train - first)},
                           test::SgdStep{.lr = 0.05, .momentum = 0.9, .weight_decay = 1e-4});
    return training->save();
  }
};

TEST_P(SmallBatchTest, ThreadsThatShareAnImageDoNotShow) {
  for (const char* text :
       {"conv64x3p1,bn,relu,maxpool2,conv19x3p1,bn,relu,avgpool2,fc40,bn,relu,fc4",
        "bn,conv32x3,relu,conv13x2s2,fc4",
        "conv4x3p1,res(conv4x3p1,bn,relu,conv4x3p1,bn),relu,res(conv8x3s2p1,bn|conv8x1s2),gelu,fc4"})
    for (const std::int64_t batch : {1, 2, 3, 5, 7}) {
      SCOPED_TRACE(std::string(text) + ", batches of " + std::to_string(batch));
      test::TrainingSetup setup = setup_of(text, batch);
      setup.threads = 1;
      const ModelState one = after_an_epoch(setup);
      for (const int threads : {2, 3, 4}) {
        setup.threads = threads;
        EXPECT_TRUE(test::same_bits(one, after_an_epoch(setup))) << threads << " threads";
      }
    }
}

TEST_P(SmallBatchTest, VectorsHoldOneImageWhereImagesWouldFillAQuarter) {
  const std::int64_t lanes = select_kernels(GetParam()).lanes;
  const auto variant = [](const test::BackendCase& backend, std::int64_t batch) {
    test::TrainingSetup setup = setup_of("conv4x3,fc4", batch);
    setup.backend = backend;
    test::SmallTraining training(setup);
    return training->variant();
  };
  const std::string name = std::string("cpu ") + select_kernels(GetParam()).name;
  const auto expect_begin = [&](const std::string& text, const std::string& begin) {
    EXPECT_EQ(text.substr(0, begin.size()), begin);
  };
  expect_begin(variant(test::cpu_backend(GetParam()), 1), name + " (one image a group)");
  expect_begin(variant(test::cpu_backend(GetParam()), lanes / 4), name + " (one image a group)");
  expect_begin(variant(test::cpu_backend(GetParam()), lanes / 4 + 1),
               name + " (" + std::to_string(lanes) + " lanes)");
  if (lanes < 8) return;
  const test::BackendCase winograd{
      "winograd", [](int threads) { return make_cpu_backend(threads, GetParam(), ConvMethod::winograd); }};
  expect_begin(variant(winograd, 1), name + " (" + std::to_string(lanes) + " lanes)");
}

BNTRAIN_FOR_EVERY_ISA(SmallBatchTest);

}  // namespace
}  // namespace bntrain::cpu
