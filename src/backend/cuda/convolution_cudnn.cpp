// Convolutions by cuDNN's older interface, not by its graph interface: that one is reported to be 20 times
// slower for NCHW float32 (NVIDIA/cudnn-frontend issue 169) and to take up to 1.5 s to finish a plan (issue
// 1066). Neither was measured here.
//
// cuDNN orders its algorithms by heuristics (cudnnGetConvolution*Algorithm_v7), and the first that may run is
// taken. cudnnFindConvolution*Algorithm would time them, and the bits would depend on the clock.
#include <array>

#include "backend/cuda/convolution_descriptors.hpp"
#include "backend/cuda/math_handles.hpp"
#include "bntrain/error.hpp"

namespace bntrain::cuda {
namespace {

constexpr float kOne = 1, kZero = 0;

/// One of the three computations with its algorithm.
template <typename Algorithm>
struct Pass {
  ConvolutionDescriptor convolution;
  Algorithm algorithm{};
  std::size_t workspace_bytes = 0;
};

/// What differs between the three: `find(descriptor, most, found, candidates)` asks the heuristics,
/// `workspace(descriptor, algorithm, bytes)` what the algorithm needs.
template <typename Candidate, typename Find, typename NeedsWorkspace>
auto choose(const char* name, const ConvolutionShape& shape, Precision precision, int most, const Find& find,
            const NeedsWorkspace& needs_workspace) {
  std::vector<Candidate> candidates(static_cast<std::size_t>(most));
  int found = 0;
  const ConvolutionDescriptor asked = describe_convolution(shape, math_type(precision));
  BNTRAIN_CUDA_CHECK(find(asked.get(), most, &found, candidates.data()));
  candidates.resize(static_cast<std::size_t>(found));
  for (const Candidate& candidate : candidates) {
    if (!is_allowed(candidate, precision)) continue;
    Pass<decltype(candidate.algo)> pass{describe_convolution(shape, math_type_of(candidate, precision)),
                                        candidate.algo, 0};
    // The need is asked for again, because the descriptor may differ from the one that was asked about.
    if (needs_workspace(pass.convolution.get(), pass.algorithm, &pass.workspace_bytes) !=
        CUDNN_STATUS_SUCCESS)
      continue;
    if (pass.workspace_bytes <= static_cast<std::size_t>(kWorkspaceBytes)) return pass;
  }
  throw CudaError("cuDNN has no deterministic algorithm within " + std::to_string(kWorkspaceBytes >> 20) +
                  " MiB of workspace for the " + name);
}

Pass<cudnnConvolutionFwdAlgo_t> choose_forward(cudnnHandle_t cudnn, const ConvolutionShape& shape,
                                               Precision precision, const TensorDescriptors& t) {
  int most = 0;
  BNTRAIN_CUDA_CHECK(cudnnGetConvolutionForwardAlgorithmMaxCount(cudnn, &most));
  return choose<cudnnConvolutionFwdAlgoPerf_t>(
      "forward pass", shape, precision, most,
      [&](auto convolution, auto... answer) {
        return cudnnGetConvolutionForwardAlgorithm_v7(cudnn, t.x.get(), t.w.get(), convolution, t.y.get(),
                                                      answer...);
      },
      [&](auto convolution, auto... answer) {
        return cudnnGetConvolutionForwardWorkspaceSize(cudnn, t.x.get(), t.w.get(), convolution, t.y.get(),
                                                       answer...);
      });
}

Pass<cudnnConvolutionBwdFilterAlgo_t> choose_backward_weights(cudnnHandle_t cudnn,
                                                              const ConvolutionShape& shape,
                                                              Precision precision,
                                                              const TensorDescriptors& t) {
  int most = 0;
  BNTRAIN_CUDA_CHECK(cudnnGetConvolutionBackwardFilterAlgorithmMaxCount(cudnn, &most));
  return choose<cudnnConvolutionBwdFilterAlgoPerf_t>(
      "weights' gradient", shape, precision, most,
      [&](auto convolution, auto... answer) {
        return cudnnGetConvolutionBackwardFilterAlgorithm_v7(cudnn, t.x.get(), t.y.get(), convolution,
                                                             t.w.get(), answer...);
      },
      [&](auto convolution, auto... answer) {
        return cudnnGetConvolutionBackwardFilterWorkspaceSize(cudnn, t.x.get(), t.y.get(), convolution,
                                                              t.w.get(), answer...);
      });
}

Pass<cudnnConvolutionBwdDataAlgo_t> choose_backward_input(cudnnHandle_t cudnn, const ConvolutionShape& shape,
                                                          Precision precision, const TensorDescriptors& t) {
  int most = 0;
  BNTRAIN_CUDA_CHECK(cudnnGetConvolutionBackwardDataAlgorithmMaxCount(cudnn, &most));
  return choose<cudnnConvolutionBwdDataAlgoPerf_t>(
      "input's gradient", shape, precision, most,
      [&](auto convolution, auto... answer) {
        return cudnnGetConvolutionBackwardDataAlgorithm_v7(cudnn, t.w.get(), t.y.get(), convolution,
                                                           t.x.get(), answer...);
      },
      [&](auto convolution, auto... answer) {
        return cudnnGetConvolutionBackwardDataWorkspaceSize(cudnn, t.w.get(), t.y.get(), convolution,
                                                            t.x.get(), answer...);
      });
}

// By the numbers of cudnnConvolutionFwdAlgo_t and its two siblings.
constexpr std::array kForwardNames = {
    "implicit-gemm", "implicit-precomp-gemm", "gemm", "direct", "fft", "fft-tiling",
    "winograd",      "winograd-nonfused"};
constexpr std::array kBackwardWeightsNames = {"algorithm-0", "algorithm-1",       "fft",       "algorithm-3",
                                              "winograd",    "winograd-nonfused", "fft-tiling"};
constexpr std::array kBackwardInputNames = {"algorithm-0", "algorithm-1", "fft",
                                            "fft-tiling",  "winograd",    "winograd-nonfused"};
static_assert(kForwardNames.size() == CUDNN_CONVOLUTION_FWD_ALGO_COUNT);
static_assert(kBackwardWeightsNames.size() == CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT);
static_assert(kBackwardInputNames.size() == CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT);

}  // namespace

struct Convolution::Impl {
  Impl(MathLibraries::Impl& the_libraries, const ConvolutionShape& shape)
      : libraries(the_libraries),
        tensors(shape),
        forward(choose_forward(libraries.cudnn(), shape, libraries.precision, tensors)),
        backward_weights(choose_backward_weights(libraries.cudnn(), shape, libraries.precision, tensors)),
        backward_input(choose_backward_input(libraries.cudnn(), shape, libraries.precision, tensors)) {}

  MathLibraries::Impl& libraries;
  TensorDescriptors tensors;
  Pass<cudnnConvolutionFwdAlgo_t> forward;
  Pass<cudnnConvolutionBwdFilterAlgo_t> backward_weights;
  Pass<cudnnConvolutionBwdDataAlgo_t> backward_input;
};

Convolution::Convolution(MathLibraries& libraries, const ConvolutionShape& shape) try
    : impl_(std::make_unique<Impl>(libraries.impl(), shape)) {
} catch (const CudaError& error) {
  throw CudaError(to_string(shape) + ": " + error.what());
}
Convolution::~Convolution() = default;

void Convolution::forward(const float* x, const float* w, float* y) {
  BNTRAIN_EXPECTS(is_aligned(x) && is_aligned(w) && is_aligned(y));
  const TensorDescriptors& t = impl_->tensors;
  const auto& pass = impl_->forward;
  BNTRAIN_CUDA_CHECK(cudnnConvolutionForward(
      impl_->libraries.cudnn(), &kOne, t.x.get(), x, t.w.get(), w, pass.convolution.get(), pass.algorithm,
      impl_->libraries.workspace.data(), pass.workspace_bytes, &kZero, t.y.get(), y));
}

void Convolution::backward_weights(const float* x, const float* dy, float* dw) {
  BNTRAIN_EXPECTS(is_aligned(x) && is_aligned(dy) && is_aligned(dw));
  const TensorDescriptors& t = impl_->tensors;
  const auto& pass = impl_->backward_weights;
  BNTRAIN_CUDA_CHECK(cudnnConvolutionBackwardFilter(
      impl_->libraries.cudnn(), &kOne, t.x.get(), x, t.y.get(), dy, pass.convolution.get(), pass.algorithm,
      impl_->libraries.workspace.data(), pass.workspace_bytes, &kZero, t.w.get(), dw));
}

void Convolution::backward_input(const float* dy, const float* w, float* dx) {
  BNTRAIN_EXPECTS(is_aligned(dy) && is_aligned(w) && is_aligned(dx));
  const TensorDescriptors& t = impl_->tensors;
  const auto& pass = impl_->backward_input;
  BNTRAIN_CUDA_CHECK(cudnnConvolutionBackwardData(
      impl_->libraries.cudnn(), &kOne, t.w.get(), w, t.y.get(), dy, pass.convolution.get(), pass.algorithm,
      impl_->libraries.workspace.data(), pass.workspace_bytes, &kZero, t.x.get(), dx));
}

std::string Convolution::algorithms(StepPass pass) const {
  if (pass == StepPass::forward) return kForwardNames.at(impl_->forward.algorithm);
  return std::string("weights ") + kBackwardWeightsNames.at(impl_->backward_weights.algorithm) + ", input " +
         kBackwardInputNames.at(impl_->backward_input.algorithm);
}

}  // namespace bntrain::cuda
