// Which of cuDNN's algorithms may run, and what computes where none may. cuDNN is played by the host.
#include "backend/cuda/convolution.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <random>

#include "backend/check/checked_training.hpp"
#include "support/cuda_host/backend.hpp"
#include "support/cuda_host/host_resources.hpp"
#include "support/error_message.hpp"
#include "support/guarded.hpp"
#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace bntrain::cuda {
namespace {

using reference::Values;
using reference::widen;
using support::Guarded;
using testing::HasSubstr;

constexpr std::int64_t kMiB = std::int64_t{1} << 20;
constexpr ConvolutionPass kPasses[] = {ConvolutionPass::forward, ConvolutionPass::backward_weights,
                                       ConvolutionPass::backward_input};

class Convolutions : public testing::Test {
 protected:
  ~Convolutions() override { resources = {.live = resources.live}; }

  HostResources& resources = host_resources();
};

ConvolutionCandidate candidate(const char* name) {
  return {.name = name, .deterministic = true};
}
ConvolutionCandidate transform(const char* name) {
  return {.name = name, .deterministic = true, .transforms = true};
}
ConvolutionCandidate with_workspace(const char* name, std::int64_t bytes) {
  return {.name = name, .deterministic = true, .workspace_bytes = bytes};
}

TEST(ConvolutionCandidates, MustBeDeterministic) {
  for (const Precision precision : {Precision::fp32, Precision::tf32}) {
    EXPECT_TRUE(is_allowed(candidate(""), precision));
    EXPECT_FALSE(is_allowed({.name = "", .deterministic = false}, precision));
  }
}

TEST(ConvolutionCandidates, KeepThePrecision) {
  const auto allowed = [](Arithmetic arithmetic, Precision precision) {
    return is_allowed({.name = "", .deterministic = true, .arithmetic = arithmetic}, precision);
  };
  EXPECT_TRUE(allowed(Arithmetic::multiply_add, Precision::fp32));
  EXPECT_FALSE(allowed(Arithmetic::tensor_cores, Precision::fp32));
  EXPECT_FALSE(allowed(Arithmetic::converted, Precision::fp32));
  EXPECT_TRUE(allowed(Arithmetic::multiply_add, Precision::tf32));
  EXPECT_TRUE(allowed(Arithmetic::tensor_cores, Precision::tf32));
  EXPECT_FALSE(allowed(Arithmetic::converted, Precision::tf32));
}

TEST(ConvolutionCandidates, AreNoTransformsInFp32) {
  EXPECT_FALSE(is_allowed(transform("fft"), Precision::fp32));
  EXPECT_TRUE(is_allowed(transform("fft"), Precision::tf32));
}

TEST_F(Convolutions, TakeTheFirstAllowedAlgorithmWhoseWorkspaceTheDeviceHas) {
  const std::vector<ConvolutionCandidate> offered = {transform("fft"), with_workspace("large", 300 * kMiB),
                                                     with_workspace("small", kMiB), candidate("none")};
  CallWorkspace workspace;
  EXPECT_EQ(choose(offered, Precision::fp32, workspace), 1u) << "there is no other limit than the memory";
  EXPECT_EQ(choose(offered, Precision::tf32, workspace), 0u);
  workspace.allocate();
  EXPECT_EQ(workspace.bytes(), 300 * kMiB);

  resources.free_bytes = 0;
  EXPECT_EQ(choose(offered, Precision::fp32, workspace), 1u) << "the workspace is there already";
  CallWorkspace none;
  EXPECT_EQ(choose(offered, Precision::fp32, none), 3u);
  resources.free_bytes = 4 * kMiB;
  EXPECT_EQ(choose(offered, Precision::fp32, none), 2u);
  EXPECT_EQ(choose(std::vector{transform("fft")}, Precision::fp32, none), std::nullopt);
}

TEST_F(Convolutions, AWorkspaceTakesUpToHalfOfTheFreeMemory) {
  resources.free_bytes = 4 * kMiB;
  CallWorkspace workspace;
  EXPECT_FALSE(workspace.reserve(2 * kMiB + 1));
  EXPECT_TRUE(workspace.reserve(2 * kMiB));
}

TEST_F(Convolutions, AWorkspaceThatGrowsKeepsWhatGraphsMayUse) {
  CallWorkspace workspace;
  ASSERT_TRUE(workspace.reserve(100));
  workspace.allocate();
  std::byte* const small = workspace.data();
  const std::int64_t live = resources.live;
  ASSERT_TRUE(workspace.reserve(50));
  workspace.allocate();
  EXPECT_EQ(workspace.data(), small);
  ASSERT_TRUE(workspace.reserve(200));
  workspace.allocate();
  EXPECT_EQ(workspace.bytes(), 200);
  EXPECT_EQ(resources.live, live + 1) << "the smaller one is still there";
}

std::vector<float> random(std::int64_t size, std::uint32_t seed) {
  std::mt19937 generator{seed};
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<std::size_t>(size));
  for (float& value : values) value = normal(generator);
  return values;
}

void expect_the_reference(const ConvolutionShape& s) {
  SCOPED_TRACE(to_string(s));
  const reference::ConvShape plain{s.batch,        s.in_channels, s.height, s.width,
                                   s.out_channels, s.kernel,      s.stride, s.padding};
  const std::int64_t patch = s.in_channels * s.kernel * s.kernel, places = s.out_height() * s.out_width();
  const auto x = random(s.batch * s.in_channels * s.height * s.width, 1);
  const auto w = random(s.out_channels * patch, 2), dy = random(s.batch * s.out_channels * places, 3);
  const Values no_bias(static_cast<std::size_t>(s.out_channels));
  const Values wide_x = widen(x), wide_w = widen(w), wide_dy = widen(dy);
  const reference::Gradients gradients = reference::conv_backward(wide_x, wide_w, wide_dy, plain);

  DeviceStream stream;
  MathLibraries libraries(stream, Precision::fp32);
  const Guarded on_x(x), on_w(w), on_dy(dy);
  const auto expect = [&](ConvolutionPass pass, const Values& expected, std::int64_t length, const Guarded& a,
                          const Guarded& b) {
    SCOPED_TRACE(to_string(pass));
    const auto convolution = make_patch_convolution(libraries, s, pass);
    libraries.workspace.allocate();
    Guarded result(expected.size());
    convolution->compute(a.data(), b.data(), result.data());
    EXPECT_TRUE(result.complete());
    const double magnitude = support::largest(widen(a.values())) * support::largest(widen(b.values()));
    EXPECT_TRUE(
        support::close(result.values(), expected, support::bound(support::kFloatEps, length, magnitude)));
  };
  expect(ConvolutionPass::forward, reference::conv_forward(wide_x, wide_w, no_bias, plain), patch, on_x,
         on_w);
  expect(ConvolutionPass::backward_weights, gradients.weight, s.batch * places, on_x, on_dy);
  expect(ConvolutionPass::backward_input, gradients.x, s.out_channels * s.kernel * s.kernel, on_w, on_dy);
}

TEST_F(Convolutions, OfPatchesAreThoseOfTheReference) {
  for (const ConvolutionShape& s : {ConvolutionShape{5, 3, 9, 7, 4, 3, 2, 1},
                                    {1, 1, 1, 1, 1, 1},
                                    {3, 2, 8, 11, 3, 2, 3},
                                    {2, 2, 5, 5, 3, 5},
                                    {4, 1, 6, 6, 2, 1, 2},
                                    {600, 1, 1, 1, 64, 1}})  // more images than a block adds up
    expect_the_reference(s);
}

// Patches of 81 * 63 places and 32 * 9 elements are 5.9 MB an image: eight images a chunk and a rest of two.
TEST_F(Convolutions, OfPatchesTakeSomeImagesAtATime) {
  const ConvolutionShape shape{10, 32, 81, 63, 1, 3, 1, 1};
  DeviceStream stream;
  MathLibraries libraries(stream, Precision::fp32);
  for (const ConvolutionPass pass : kPasses) {
    const auto convolution = make_patch_convolution(libraries, shape, pass);
    libraries.workspace.allocate();
    EXPECT_LE(libraries.workspace.bytes(), 64 * kMiB);
  }
}

TEST_F(Convolutions, ThatTheDeviceHasNoMemoryForSayWhich) {
  resources.free_bytes = 1000;
  DeviceStream stream;
  MathLibraries libraries(stream, Precision::fp32);
  EXPECT_THAT(
      error_message(ErrorKind::runtime,
                    [&] {
                      make_patch_convolution(libraries, {1, 3, 9, 7, 4, 3}, ConvolutionPass::backward_input);
                    }),
      testing::AllOf(HasSubstr("3792 bytes of memory left for the input's gradient of a convolution of "
                               "1x3x9x7 with 4x3x3x3"),
                     HasSubstr("--batch-size")));
}

/// What the network's second convolution runs, which is large enough for cuDNN.
std::string algorithms(test::SmallTraining& training, StepPass pass) {
  training->train_step({0, 16}, test::SgdStep{});
  for (const OpTiming& op : training->time_ops({0, 16}, 1))
    if (op.name.find("conv6") != std::string::npos && op.pass == pass) return op.variant;
  return "";
}

class OfferedAlgorithms : public Convolutions {
 protected:
  static test::TrainingSetup setup(Precision precision) {
    return {.text = "conv8x3,bn,relu,conv6x3,bn,relu,fc4",
            .backend = {"cuda on the host", [precision](int) { return make_host_backend(precision); }}};
  }
};

TEST_F(OfferedAlgorithms, DecideWhoComputes) {
  const ConvolutionCandidate unsteady{.name = "unsteady", .deterministic = false};
  struct Case {
    std::vector<ConvolutionCandidate> offered;
    Precision precision;
    std::int64_t free_bytes;
    const char* forward;
  };
  for (const Case& c :
       {Case{{unsteady}, Precision::fp32, kMiB, "patches"},
        Case{{unsteady}, Precision::tf32, kMiB, "patches"}, Case{{}, Precision::fp32, kMiB, "patches"},
        Case{{transform("fft")}, Precision::fp32, kMiB, "patches"},
        Case{{transform("fft")}, Precision::tf32, kMiB, "fft"},
        Case{{with_workspace("large", 300 * kMiB)}, Precision::tf32, 600 * kMiB, "large"},
        Case{{with_workspace("large", 300 * kMiB)}, Precision::tf32, kMiB, "patches"},
        Case{{transform("fft"), candidate("direct")}, Precision::fp32, 0, "direct"}}) {
    resources.cudnn_algorithms = c.offered;
    resources.free_bytes = std::max<std::int64_t>(c.free_bytes, 200 * 1024);
    test::SmallTraining training(setup(c.precision));
    EXPECT_EQ(algorithms(training, StepPass::forward), c.forward);
    EXPECT_EQ(algorithms(training, StepPass::backward),
              std::string("weights ") + c.forward + ", input " + c.forward);
  }
}

TEST_F(OfferedAlgorithms, OfNoneTrainAsTheCpuDoes) {
  resources.cudnn_algorithms.clear();
  test::CheckedTraining training(make_check_backend(test::make_reference(), make_host_backend()),
                                 "conv4x3s2p1,bn,relu,conv3x2,relu,maxpool2,fc4");
  training.steps(4);
}

}  // namespace
}  // namespace bntrain::cuda
