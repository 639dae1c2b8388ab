// Convolutions by cuDNN's older interface, not by its graph interface: that one is reported to be 20 times
// slower for NCHW float32 (NVIDIA/cudnn-frontend issue 169) and to take up to 1.5 s to finish a plan (issue
// 1066). Neither was measured here.
//
// cuDNN orders its algorithms by heuristics (cudnnGetConvolution*Algorithm_v7), and the first that may run is
// taken. cudnnFindConvolution*Algorithm would time them, and the bits would depend on the clock.
#include <array>
#include <utility>

#include "backend/cuda/convolution_descriptors.hpp"
#include "backend/cuda/math_handles.hpp"
#include "bntrain/error.hpp"

namespace bntrain::cuda {
namespace {

constexpr float kOne = 1, kZero = 0;

struct AlgorithmType {
  const char* name;
  bool transforms = false;
};

/// Memory for a call, and its algorithm.
template <typename Algorithm>
struct Call {
  cudnnContext* cudnn;
  const TensorDescriptors& tensors;
  cudnnConvolutionStruct* convolution;
  Algorithm algorithm;
  void* workspace;
  std::size_t workspace_bytes;
};

// What differs between the computations. kAlgorithms is by the numbers of cuDNN's enumeration.

struct Forward {
  using Candidate = cudnnConvolutionFwdAlgoPerf_t;
  static constexpr std::array<AlgorithmType, CUDNN_CONVOLUTION_FWD_ALGO_COUNT> kAlgorithms = {
      {{"implicit-gemm"},
       {"implicit-precomp-gemm"},
       {"gemm"},
       {"direct"},
       {"fft", true},
       {"fft-tiling", true},
       {"winograd", true},
       {"winograd-nonfused", true}}};
  static constexpr auto count = cudnnGetConvolutionForwardAlgorithmMaxCount;

  static cudnnStatus_t find(cudnnHandle_t cudnn, const TensorDescriptors& t, cudnnConvolutionDescriptor_t c,
                            int most, int* found, Candidate* candidates) {
    return cudnnGetConvolutionForwardAlgorithm_v7(cudnn, t.x.get(), t.w.get(), c, t.y.get(), most, found,
                                                  candidates);
  }
  static cudnnStatus_t workspace(cudnnHandle_t cudnn, const TensorDescriptors& t,
                                 cudnnConvolutionDescriptor_t c, cudnnConvolutionFwdAlgo_t algorithm,
                                 std::size_t* bytes) {
    return cudnnGetConvolutionForwardWorkspaceSize(cudnn, t.x.get(), t.w.get(), c, t.y.get(), algorithm,
                                                   bytes);
  }
  static cudnnStatus_t compute(const Call<cudnnConvolutionFwdAlgo_t>& c, const float* x, const float* w,
                               float* y) {
    return cudnnConvolutionForward(c.cudnn, &kOne, c.tensors.x.get(), x, c.tensors.w.get(), w, c.convolution,
                                   c.algorithm, c.workspace, c.workspace_bytes, &kZero, c.tensors.y.get(), y);
  }
};

struct BackwardWeights {
  using Candidate = cudnnConvolutionBwdFilterAlgoPerf_t;
  static constexpr std::array<AlgorithmType, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT> kAlgorithms = {
      {{"algorithm-0"},
       {"algorithm-1"},
       {"fft", true},
       {"algorithm-3"},
       {"winograd", true},
       {"winograd-nonfused", true},
       {"fft-tiling", true}}};
  static constexpr auto count = cudnnGetConvolutionBackwardFilterAlgorithmMaxCount;

  static cudnnStatus_t find(cudnnHandle_t cudnn, const TensorDescriptors& t, cudnnConvolutionDescriptor_t c,
                            int most, int* found, Candidate* candidates) {
    return cudnnGetConvolutionBackwardFilterAlgorithm_v7(cudnn, t.x.get(), t.y.get(), c, t.w.get(), most,
                                                         found, candidates);
  }
  static cudnnStatus_t workspace(cudnnHandle_t cudnn, const TensorDescriptors& t,
                                 cudnnConvolutionDescriptor_t c, cudnnConvolutionBwdFilterAlgo_t algorithm,
                                 std::size_t* bytes) {
    return cudnnGetConvolutionBackwardFilterWorkspaceSize(cudnn, t.x.get(), t.y.get(), c, t.w.get(),
                                                          algorithm, bytes);
  }
  static cudnnStatus_t compute(const Call<cudnnConvolutionBwdFilterAlgo_t>& c, const float* x,
                               const float* dy, float* dw) {
    return cudnnConvolutionBackwardFilter(c.cudnn, &kOne, c.tensors.x.get(), x, c.tensors.y.get(), dy,
                                          c.convolution, c.algorithm, c.workspace, c.workspace_bytes, &kZero,
                                          c.tensors.w.get(), dw);
  }
};

struct BackwardInput {
  using Candidate = cudnnConvolutionBwdDataAlgoPerf_t;
  static constexpr std::array<AlgorithmType, CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT> kAlgorithms = {
      {{"algorithm-0"},
       {"algorithm-1"},
       {"fft", true},
       {"fft-tiling", true},
       {"winograd", true},
       {"winograd-nonfused", true}}};
  static constexpr auto count = cudnnGetConvolutionBackwardDataAlgorithmMaxCount;

  static cudnnStatus_t find(cudnnHandle_t cudnn, const TensorDescriptors& t, cudnnConvolutionDescriptor_t c,
                            int most, int* found, Candidate* candidates) {
    return cudnnGetConvolutionBackwardDataAlgorithm_v7(cudnn, t.w.get(), t.y.get(), c, t.x.get(), most, found,
                                                       candidates);
  }
  static cudnnStatus_t workspace(cudnnHandle_t cudnn, const TensorDescriptors& t,
                                 cudnnConvolutionDescriptor_t c, cudnnConvolutionBwdDataAlgo_t algorithm,
                                 std::size_t* bytes) {
    return cudnnGetConvolutionBackwardDataWorkspaceSize(cudnn, t.w.get(), t.y.get(), c, t.x.get(), algorithm,
                                                        bytes);
  }
  static cudnnStatus_t compute(const Call<cudnnConvolutionBwdDataAlgo_t>& c, const float* w, const float* dy,
                               float* dx) {
    return cudnnConvolutionBackwardData(c.cudnn, &kOne, c.tensors.w.get(), w, c.tensors.y.get(), dy,
                                        c.convolution, c.algorithm, c.workspace, c.workspace_bytes, &kZero,
                                        c.tensors.x.get(), dx);
  }
};

template <typename Pass>
class CudnnConvolution final : public Convolution {
 public:
  CudnnConvolution(MathLibraries& libraries, const ConvolutionShape& shape)
      : libraries_(libraries), tensors_(shape) {}

  /// False where cuDNN has none that may run.
  bool choose_algorithm(const ConvolutionShape& shape) {
    const cudnnHandle_t cudnn = libraries_.handles().cudnn();
    const Precision precision = libraries_.precision;
    int most = 0, found = 0;
    BNTRAIN_CUDA_CHECK(Pass::count(cudnn, &most));
    std::vector<typename Pass::Candidate> offered(static_cast<std::size_t>(most));
    const ConvolutionDescriptor asked = describe_convolution(shape, math_type(precision));
    const cudnnStatus_t status = Pass::find(cudnn, tensors_, asked.get(), most, &found, offered.data());
    if (status == CUDNN_STATUS_NOT_SUPPORTED) return false;
    BNTRAIN_CUDA_CHECK(status);

    std::vector<ConvolutionDescriptor> described;
    std::vector<ConvolutionCandidate> candidates;
    std::vector<decltype(algorithm_)> algorithms;
    for (const auto& each : std::span(offered).first(static_cast<std::size_t>(found))) {
      if (each.status != CUDNN_STATUS_SUCCESS) continue;
      // Under fp32 the descriptor says so itself, whatever the candidate does.
      const cudnnMathType_t math = precision == Precision::fp32 ? CUDNN_FMA_MATH : each.mathType;
      ConvolutionDescriptor convolution = describe_convolution(shape, math);
      // The need is asked for again, because the descriptor may differ from the one that was asked about.
      std::size_t bytes = 0;
      if (Pass::workspace(cudnn, tensors_, convolution.get(), each.algo, &bytes) != CUDNN_STATUS_SUCCESS)
        continue;
      const AlgorithmType& type = Pass::kAlgorithms.at(static_cast<std::size_t>(each.algo));
      candidates.push_back({.name = type.name,
                            .deterministic = each.determinism == CUDNN_DETERMINISTIC,
                            .transforms = type.transforms,
                            .arithmetic = arithmetic_of(each.mathType, precision),
                            .workspace_bytes = static_cast<std::int64_t>(bytes)});
      algorithms.push_back(each.algo);
      described.push_back(std::move(convolution));
    }
    const auto choice = choose(candidates, precision, libraries_.workspace);
    if (!choice) return false;
    chosen_ = candidates[*choice];
    algorithm_ = algorithms[*choice];
    convolution_ = std::move(described[*choice]);
    return true;
  }

  void compute(const float* a, const float* b, float* result) override {
    BNTRAIN_EXPECTS(is_aligned(a) && is_aligned(b) && is_aligned(result));
    BNTRAIN_EXPECTS(chosen_.workspace_bytes <= libraries_.workspace.bytes());
    BNTRAIN_CUDA_CHECK(
        Pass::compute({libraries_.handles().cudnn(), tensors_, convolution_.get(), algorithm_,
                       libraries_.workspace.data(), static_cast<std::size_t>(chosen_.workspace_bytes)},
                      a, b, result));
  }

  std::string algorithm() const override { return chosen_.name; }

 private:
  MathLibraries& libraries_;
  TensorDescriptors tensors_;
  ConvolutionDescriptor convolution_;
  decltype(Pass::Candidate::algo) algorithm_{};
  ConvolutionCandidate chosen_;
};

template <typename Pass>
std::unique_ptr<Convolution> make(MathLibraries& libraries, const ConvolutionShape& shape) {
  auto convolution = std::make_unique<CudnnConvolution<Pass>>(libraries, shape);
  if (!convolution->choose_algorithm(shape)) return nullptr;
  return convolution;
}

}  // namespace

std::unique_ptr<Convolution> make_cudnn_convolution(MathLibraries& libraries, const ConvolutionShape& shape,
                                                    ConvolutionPass pass) {
  try {
    switch (pass) {
      case ConvolutionPass::forward:
        return make<Forward>(libraries, shape);
      case ConvolutionPass::backward_weights:
        return make<BackwardWeights>(libraries, shape);
      case ConvolutionPass::backward_input:
        break;
    }
    return make<BackwardInput>(libraries, shape);
  } catch (const CudaError& error) {
    throw CudaError(to_string(shape) + ": " + error.what());
  }
}

}  // namespace bntrain::cuda
